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

/// A buffer that a burst made longer than this is given back.
const KEPT: usize = 64 * 1024;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    lines: Vec::new(),
    lost: 0,
});
static SOME: Condvar = Condvar::new();
/// Held while lines are on their way, so that they keep their order.
static WRITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Waiting {
    lines: Vec<u8>,
    lost: usize,
}

/// Takes whole lines.
pub struct Outlet;

impl Outlet {
    pub fn open() -> io::Result<Self> {
        thread::Builder::new().name("log".into()).spawn(|| {
            loop {
                let mut waiting = WAITING.lock();
                SOME.wait_while(&mut waiting, |waiting| waiting.lines.is_empty());
                drop(waiting);
                thread::sleep(GATHER);
                flush();
            }
        })?;
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

/// Writes what waits, now. Where nobody takes it, there is nobody to tell.
pub fn flush() {
    let mut lines = WRITING.lock();
    let mut waiting = WAITING.lock();
    std::mem::swap(&mut *lines, &mut waiting.lines);
    let lost = std::mem::take(&mut waiting.lost);
    drop(waiting);
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(&lines);
    if lost > 0 {
        let _ = writeln!(
            stderr,
            "{lost} lines of the log were lost here: nobody read them in time"
        );
    }
    lines.clear();
    lines.shrink_to(KEPT);
}
