//! The optional limit of requests per minute and user (GCRA).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::error::ApiError;
use crate::auth::AuthenticatedUser;
use crate::domain::UserId;

/// After this many requests, users with a full allowance are evicted, so that memory is bounded by the number of users
/// who were active within about a minute.
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

    /// The error is the number of seconds to wait.
    fn check(&self, user: &UserId) -> Result<(), u64> {
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

/// Runs after the guard, so that requests without a valid token do not use up a user's allowance.
pub async fn rate_limit(
    limits: web::Data<RateLimits>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let user = request.extensions().get::<AuthenticatedUser>().cloned();
    match user.map_or(Ok(()), |user| limits.check(user.id())) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(retry_after_seconds) => Ok(request
            .error_response(ApiError::RateLimited { retry_after_seconds })
            .map_into_right_body()),
    }
}
