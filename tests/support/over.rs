//! Tells threads that go on working until a test has seen enough that it has.

use std::sync::atomic::{AtomicBool, Ordering};

/// True once its guard is gone, and so also when the test that holds the guard has failed.
#[derive(Default)]
pub struct Over(AtomicBool);

pub struct Guard<'a>(&'a Over);

impl Over {
    pub fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    pub fn yet(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}
