//! Waiting for something that another process does: polls, and gives up in time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The first `Some` that `probe` answers, or `None` after `limit`: and after some probes, for of a machine
/// that stood still meanwhile nothing can be expected.
pub fn until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    const FEWEST: usize = 20;
    let deadline = Instant::now() + limit;
    for probes in 1.. {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline && probes >= FEWEST {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    None
}
