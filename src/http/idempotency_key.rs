//! The header `Idempotency-Key`, with which a client can safely repeat a request that may have succeeded.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

use crate::domain::{ErrorCode, ValidationError, at_most_one};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const MAX_KEY_CHARS: usize = 255;

pub fn parse(request: &HttpRequest) -> Result<Option<String>, ValidationError> {
    let Some(header) = at_most_one(request.headers().get_all(IDEMPOTENCY_KEY))? else {
        return Ok(None);
    };
    let message = format!("must have 1 to {MAX_KEY_CHARS} printable ASCII characters");
    // `to_str` also accepts tabs.
    let printable = |key: &&str| !key.is_empty() && key.bytes().all(|b| (b' '..=b'~').contains(&b));
    let key = header.to_str().ok().filter(printable);
    match key {
        None => Err(ErrorCode::Format.with(message)),
        Some(key) if key.len() > MAX_KEY_CHARS => Err(ErrorCode::TooLong.with(message)),
        Some(key) => Ok(Some(key.into())),
    }
}
