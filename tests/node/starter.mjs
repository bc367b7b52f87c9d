// A test that was killed cannot stop the scripts that it started. A script that imports this module exits
// when its parent process is gone.

const starter = process.ppid;
setInterval(() => process.ppid === starter || process.exit(1), 1000).unref();
