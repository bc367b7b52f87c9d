//! A flag that tells worker threads to stop when the test that started them ends.

use std::sync::atomic::{AtomicBool, Ordering};

/// The flag is set when its guard is dropped, and therefore also when the test that holds the guard panics.
#[derive(Default)]
pub struct StopFlag(AtomicBool);

pub struct Guard<'a>(&'a StopFlag);

impl StopFlag {
    pub fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}
