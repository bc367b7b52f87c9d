//! The request that the current task handles. Every log line of the task contains the ids of the request.

use std::fmt;
use std::sync::Arc;

use actix_web::rt::task::JoinHandle;
use serde::{Serialize, Serializer};

/// The ids of a request. Cloning them is cheap, so that work on other threads can log them as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    pub request_id: Arc<str>,
    /// The trace id of the `traceparent` header, if the request has a valid one.
    pub trace_id: Option<TraceId>,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

impl RequestContext {
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    pub fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// Spawns a task that may outlive the request. Its log lines still contain the ids of the request.
    pub fn spawn<F: Future<Output: 'static> + 'static>(work: F) -> JoinHandle<F::Output> {
        match Self::current() {
            Some(context) => actix_web::rt::spawn(context.scope(work)),
            None => actix_web::rt::spawn(work),
        }
    }

    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

/// The trace id of a W3C `traceparent` header. It is stored as a number, because a string would need an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// Parses `version-traceid-parentid-flags` as the W3C recommendation "Trace Context" defines it. Further fields are
    /// ignored if the version is later than 00.
    pub fn from_traceparent(header: &[u8]) -> Option<Self> {
        const LENGTH: usize = 55;
        let (known, appended) = header.split_at_checked(LENGTH)?;
        let has_dashes = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let version = parse_hex(&known[..2])?;
        let trace_id = parse_hex(&known[3..35])?;
        let parent_id = parse_hex(&known[36..52])?;
        parse_hex(&known[53..])?;
        let has_valid_end = appended.is_empty() || (version > 0 && appended[0] == b'-');
        let is_valid = has_dashes && has_valid_end && version != 0xff && trace_id != 0 && parent_id != 0;
        is_valid.then_some(Self(trace_id))
    }
}

/// Parses hexadecimal digits, which must be lower-case as the recommendation requires. Callers pass at most 32 digits,
/// so the number cannot overflow.
fn parse_hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
