//! Writes the log to stderr from a separate thread, so that requests do not wait for a disk or a pipe. Lines are
//! buffered for a few milliseconds, so that one system call writes many lines of a busy service.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The maximum time that lines are buffered. A process that is killed may lose the buffered lines.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// The maximum size of the buffer. Lines that do not fit are dropped, because requests must not wait until the log is
/// read.
const MAX_BUFFERED_BYTES: usize = 8 * 1024 * 1024;

/// The maximum time to write the buffered lines before the process exits.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The capacity to which a buffer is shrunk after a burst of lines.
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
    /// Whether the thread is writing lines that it has taken out of the buffer.
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
    /// Adds one complete line to the buffer, or drops the complete line.
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

    /// Does nothing, because the logger calls this method after every line. The function [`flush`] waits until the
    /// lines are written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until all lines are written, but for at most one second: a reader that has stopped reading must not prevent
/// the process from exiting.
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

        // An error is ignored, because it cannot be reported anywhere else.
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
