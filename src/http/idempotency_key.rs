//! The header `Idempotency-Key`, with which a client can safely repeat a request that may have succeeded.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::domain::{ErrorCode, ValidationError, ValidationErrors};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const MAX_KEY_CHARS: usize = 255;

pub fn parse(request: &HttpRequest, errors: &mut ValidationErrors) -> Option<String> {
    let headers = request.headers().get_all(IDEMPOTENCY_KEY);
    errors.parse("Idempotency-Key", headers, parse_header)
}

fn parse_header(header: &HeaderValue) -> Result<String, ValidationError> {
    let message = format!("must have 1 to {MAX_KEY_CHARS} printable ASCII characters");
    // `to_str` also accepts tabs.
    let printable = |key: &&str| !key.is_empty() && key.bytes().all(|b| (b' '..=b'~').contains(&b));
    match header.to_str().ok().filter(printable) {
        None => Err(ErrorCode::Format.with(message)),
        Some(key) if key.len() > MAX_KEY_CHARS => Err(ErrorCode::TooLong.with(message)),
        Some(key) => Ok(key.into()),
    }
}
