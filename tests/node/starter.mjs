// A test that was killed cannot stop what it started: imported, this ends the script when its starter is gone.

const starter = process.ppid;
setInterval(() => process.ppid === starter || process.exit(1), 1000).unref();
