//! Writes the log to stderr from a thread of its own. Lines are buffered for a few milliseconds and written together:
//! no request waits for a disk or a pipe, and a busy service makes one system call for hundreds of lines.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long lines are buffered. A process that is killed loses the lines of this interval.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// If the reader of the log stops reading and this much is buffered, further lines are dropped, because a request
/// must not wait for the log.
const MAX_BUFFERED_BYTES: usize = 8 * 1024 * 1024;

/// How long a process that is about to exit waits until the buffered lines are written.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A buffer that grew beyond this in a burst is shrunk afterwards.
const MAX_IDLE_CAPACITY_BYTES: usize = 256 * 1024;

static BUFFER: Mutex<Buffer> = Mutex::new(Buffer {
    lines: Vec::new(),
    dropped_lines: 0,
    flush_requested: false,
    is_writing: false,
});
static NOT_EMPTY: Condvar = Condvar::new();
static WRITTEN: Condvar = Condvar::new();

struct Buffer {
    lines: Vec<u8>,
    dropped_lines: usize,
    flush_requested: bool,
    /// The thread is writing lines that it has already taken out of the buffer.
    is_writing: bool,
}

pub struct LogWriter;

impl LogWriter {
    pub fn start() -> io::Result<Self> {
        thread::Builder::new()
            .name("log".into())
            .spawn(write_buffered_lines)
            .map_err(|error| io::Error::other(format!("the log thread cannot be started: {error}")))?;
        Ok(Self)
    }
}

impl Write for LogWriter {
    /// Expects one whole line, so that only whole lines are dropped.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut buffer = BUFFER.lock();
        let was_empty = buffer.lines.is_empty();
        if buffer.lines.len() + line.len() <= MAX_BUFFERED_BYTES {
            buffer.lines.extend_from_slice(line);
        } else {
            buffer.dropped_lines += 1;
        }
        drop(buffer);
        if was_empty {
            NOT_EMPTY.notify_one();
        }
        Ok(line.len())
    }

    /// Does nothing, because the logger calls this after every line. [`flush`] waits for the thread.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns when all lines are written, or after a second: a reader that stopped reading must not keep the process
/// from exiting.
pub fn flush() {
    let mut buffer = BUFFER.lock();
    buffer.flush_requested = true;
    NOT_EMPTY.notify_one();
    let is_unwritten = |buffer: &mut Buffer| buffer.is_writing || !buffer.lines.is_empty();
    WRITTEN.wait_while_for(&mut buffer, is_unwritten, SHUTDOWN_FLUSH_TIMEOUT);
}

fn write_buffered_lines() {
    let mut lines = Vec::new();
    loop {
        let mut buffer = BUFFER.lock();
        NOT_EMPTY.wait_while(&mut buffer, |buffer| buffer.lines.is_empty());
        NOT_EMPTY.wait_while_for(&mut buffer, |buffer| !buffer.flush_requested, FLUSH_INTERVAL);
        std::mem::swap(&mut lines, &mut buffer.lines);
        let dropped = std::mem::take(&mut buffer.dropped_lines);
        buffer.flush_requested = false;
        buffer.is_writing = true;
        drop(buffer);

        // An error is ignored, because there is nowhere else to report it.
        let _ = io::stderr().write_all(&lines);
        lines.clear();
        lines.shrink_to(MAX_IDLE_CAPACITY_BYTES);
        BUFFER.lock().is_writing = false;
        WRITTEN.notify_all();
        if dropped > 0 {
            log::warn!("{dropped} log lines were dropped because the log was not read fast enough");
        }
    }
}
