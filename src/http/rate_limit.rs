//! The optional limit of requests per minute and user. It uses the generic cell rate algorithm (GCRA).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::UserId;

/// The number of requests between two evictions. An eviction removes the users whose allowance is full again, which is
/// the case after at most a minute without requests. Without evictions, memory would grow with the number of all users.
const EVICTION_INTERVAL_REQUESTS: u32 = 4_096;

pub struct RateLimits {
    limiter: Option<DefaultKeyedRateLimiter<UserId>>,
    checks: AtomicU32,
}

impl RateLimits {
    pub fn new(per_minute: Option<u32>) -> Self {
        let quota = per_minute.and_then(NonZeroU32::new).map(Quota::per_minute);
        Self {
            limiter: quota.map(RateLimiter::keyed),
            checks: AtomicU32::new(0),
        }
    }

    /// Counts a request of the user. If the limit is exceeded, the error is the number of seconds to wait.
    pub fn check(&self, user: &UserId) -> Result<(), u64> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % EVICTION_INTERVAL_REQUESTS
            == EVICTION_INTERVAL_REQUESTS - 1
        {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(user).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            wait.as_secs_f64().ceil().max(1.0) as u64
        })
    }
}
