//! Waiting for something that another process does: polls, and gives up in time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The first `Some` that `probe` answers, or `None` after `limit`.
pub fn until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
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
