//! Waiting for an effect in another process by polling, with a time limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Returns the first `Some` that `probe` returns, or `None` after `limit`. It probes at least a minimum
/// number of times, because a machine under load may have been suspended for most of `limit`.
pub fn until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    const MIN_PROBES: usize = 20;
    let deadline = Instant::now() + limit;
    for probes in 1.. {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline && probes >= MIN_PROBES {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    None
}
