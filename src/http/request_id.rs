//! Request ids and trace ids.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::telemetry::{RequestContext, TraceId};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the trace id, from the W3C recommendation "Trace Context".
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The other header of that recommendation. The service does not read it, but CORS must allow clients to send it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

const MAX_REQUEST_ID_CHARS: usize = 128;

pub fn request_context(headers: &HeaderMap) -> RequestContext {
    RequestContext {
        request_id: client_request_id(headers).map_or_else(new_id, Arc::from),
        trace_id: trace_id(headers),
    }
}

pub fn new_context() -> RequestContext {
    RequestContext {
        request_id: new_id(),
        trace_id: None,
    }
}

fn new_id() -> Arc<str> {
    Arc::from(format!("{:032x}", fastrand::u128(..)))
}

/// The id that the client sent. It is ignored if it is too long or contains characters that are unsafe in a log or a
/// header.
fn client_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&byte);
    ((1..=MAX_REQUEST_ID_CHARS).contains(&id.len()) && id.bytes().all(is_safe)).then_some(id)
}

/// The trace id in `traceparent`, which is ignored if the request contains it more than once.
fn trace_id(headers: &HeaderMap) -> Option<TraceId> {
    let mut values = headers.get_all(TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(value), None) => TraceId::from_traceparent(value.as_bytes()),
        _ => None,
    }
}
