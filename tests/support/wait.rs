//! Waiting for an effect in another process by polling, with a time limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// A busy machine may suspend a process for this long.
const BUSY: Duration = Duration::from_secs(60);

/// Returns the first `Some` that `probe` returns, or `None` after `limit`, which is at least a minute: a short limit
/// would fail on a busy machine, and a long one costs nothing, because the event is expected.
pub fn until<T>(limit: Duration, probe: impl FnMut() -> Option<T>) -> Option<T> {
    within(limit.max(BUSY), probe)
}

/// Like [`until`], with exactly this limit, for tests of the limit itself.
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
