//! The header `Idempotency-Key`: a client's way to repeat a request that may have succeeded already.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

use crate::domain::{ErrorCode, ValidationError};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const MAX_KEY_LENGTH: usize = 255;

pub fn parse(request: &HttpRequest) -> Result<Option<String>, ValidationError> {
    let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    if headers.next().is_some() {
        return Err(ErrorCode::Repeated.with("must be given once"));
    }
    let wrong = |code: ErrorCode| {
        code.with(format!(
            "must have 1 to {MAX_KEY_LENGTH} printable ASCII characters"
        ))
    };
    // `to_str` accepts printable ASCII and the tab, which is excluded here.
    let printable = |key: &&str| !key.is_empty() && key.bytes().all(|b| (b' '..=b'~').contains(&b));
    let key = header.to_str().ok().filter(printable);
    match key.ok_or_else(|| wrong(ErrorCode::Format))? {
        key if key.len() > MAX_KEY_LENGTH => Err(wrong(ErrorCode::TooLong)),
        key => Ok(Some(key.into())),
    }
}
