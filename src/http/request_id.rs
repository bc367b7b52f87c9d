//! Request ids and trace ids.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::telemetry::RequestContext;

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

/// The trace id in `traceparent`, whose format is `version-traceid-parentid-flags`. As the recommendation requires,
/// digits are lower-case, and further fields are ignored if the version is later than 00. The header is ignored if the
/// request contains it more than once.
fn trace_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut values = headers.get_all(TRACEPARENT);
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let is_hex = |field: &str| field.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let is_zero = |id: &str| id.chars().all(|c| c == '0');
    let mut fields = value.to_str().ok()?.split('-');
    let mut hex = |digits: usize| {
        fields
            .next()
            .filter(|field| field.len() == digits && is_hex(field))
    };
    let (version, trace_id, parent_id, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let is_valid_version = version != "ff" && (version != "00" || fields.next().is_none());
    (is_valid_version && !is_zero(trace_id) && !is_zero(parent_id)).then(|| trace_id.into())
}
