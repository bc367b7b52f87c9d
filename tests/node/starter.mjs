// A script that imports this module exits when its parent process no longer exists, because a test that was killed
// cannot stop the scripts that it has started.

const starter = process.ppid;
setInterval(() => process.ppid === starter || process.exit(1), 1000).unref();
