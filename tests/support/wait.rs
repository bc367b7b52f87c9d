//! Functions that poll until an effect in another process is visible, up to a time limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The minimum time limit of [`until`]. A busy machine may suspend a process for seconds.
const BUSY: Duration = Duration::from_mins(1);

/// Calls `probe` until it returns `Some`, and returns that value, or `None` after `limit`. A limit of less than a
/// minute is replaced by a minute: a test with a short limit would fail on a busy machine, and a long limit does not
/// slow down a test that succeeds.
pub fn until<T>(limit: Duration, probe: impl FnMut() -> Option<T>) -> Option<T> {
    within(limit.max(BUSY), probe)
}

/// Like [`until`], but with exactly this limit.
pub fn within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(Duration::from_millis(10));
    }
}
