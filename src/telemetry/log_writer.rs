//! The log's way out: lines are gathered for a moment and written together, by a thread of their own. No
//! call waits for a disk or a pipe, and a busy service makes one system call for hundreds of lines.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long lines are gathered, and so how many are lost with a process that is killed outright.
const GATHER: Duration = Duration::from_millis(5);

/// How much may wait for a reader who has stopped reading. Then lines are lost, and not the service.
const MOST: usize = 8 * 1024 * 1024;

/// How long the end of the process waits for such a reader.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A buffer that a burst made longer than this is given back.
const KEPT: usize = 64 * 1024;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    lines: Vec::new(),
    lost: 0,
    hurry: false,
    writing: false,
});
static SOME: Condvar = Condvar::new();
static WRITTEN: Condvar = Condvar::new();

struct Waiting {
    lines: Vec<u8>,
    lost: usize,
    /// Somebody waits for them to be written.
    hurry: bool,
    /// Some are on their way.
    writing: bool,
}

/// Takes whole lines.
pub struct Outlet;

impl Outlet {
    pub fn open() -> io::Result<Self> {
        thread::Builder::new()
            .name("log".into())
            .spawn(write_for_ever)
            .map_err(|error| io::Error::other(format!("the log's thread cannot be started: {error}")))?;
        Ok(Self)
    }
}

impl Write for Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = WAITING.lock();
        let first = waiting.lines.is_empty();
        if waiting.lines.len() + line.len() <= MOST {
            waiting.lines.extend_from_slice(line);
        } else {
            waiting.lost += 1;
        }
        drop(waiting);
        if first {
            SOME.notify_one();
        }
        Ok(line.len())
    }

    /// Nothing: see [`flush`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns when all is written, or after a second: a reader who has stopped reading must not keep the
/// process from ending.
pub fn flush() {
    let mut waiting = WAITING.lock();
    waiting.hurry = true;
    SOME.notify_one();
    let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
    WRITTEN.wait_while_for(&mut waiting, unwritten, LAST_WORDS);
}

fn write_for_ever() {
    let mut lines = Vec::new();
    loop {
        let mut waiting = WAITING.lock();
        SOME.wait_while(&mut waiting, |waiting| waiting.lines.is_empty());
        SOME.wait_while_for(&mut waiting, |waiting| !waiting.hurry, GATHER);
        std::mem::swap(&mut lines, &mut waiting.lines);
        let lost = std::mem::take(&mut waiting.lost);
        waiting.hurry = false;
        waiting.writing = true;
        drop(waiting);

        // Where nobody takes them, there is nobody to tell.
        let _ = io::stderr().write_all(&lines);
        lines.clear();
        lines.shrink_to(KEPT);
        WAITING.lock().writing = false;
        WRITTEN.notify_all();
        if lost > 0 {
            log::warn!("{lost} lines of the log were lost: nobody read them in time");
        }
    }
}
