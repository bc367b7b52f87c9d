//! `Idempotency-Key`: a client's way to ask again for a task that it may have created.

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;
use futures_util::future::LocalBoxFuture;

use super::body::Body;
use super::contract::Contract;
use super::error::ApiError;
use crate::domain::{ErrorCode, Invalid, NewTask, ValidationError};
use crate::store::IdempotencyKey;

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const MAX_LENGTH: usize = 255;

/// What a client wants to create, and the key if it sent one. Both are looked at before either is refused:
/// a client hears of every wrong field at once.
pub struct Creation {
    pub task: NewTask,
    pub key: Option<IdempotencyKey>,
}

impl FromRequest for Creation {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = parse(request);
        let contract = Contract::of(request);
        let body = Body::<NewTask>::from_request(request, payload);
        Box::pin(async move {
            let mut invalid = Invalid::default();
            let key = invalid.check("Idempotency-Key", key).flatten();
            match body.await {
                Ok(Body(task)) => {
                    let task = invalid
                        .or(task)
                        .map_err(|invalid| ApiError::BadInput(contract, invalid))?;
                    let key = key.map(|key| IdempotencyKey {
                        key,
                        fingerprint: fingerprint(&task),
                    });
                    Ok(Self { task, key })
                }
                Err(ApiError::BadInput(contract, of_body)) => {
                    invalid.0.extend(of_body.0);
                    Err(ApiError::BadInput(contract, invalid))
                }
                Err(other) => Err(other),
            }
        })
    }
}

fn parse(request: &HttpRequest) -> Result<Option<String>, ValidationError> {
    let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    if headers.next().is_some() {
        return Err(ErrorCode::Repeated.with("must be given once"));
    }
    let wrong =
        |code: ErrorCode| code.with(format!("must have 1 to {MAX_LENGTH} printable ASCII characters"));
    // Printable ASCII, which is what `to_str` takes, less the tab.
    let printable = |key: &&str| !key.is_empty() && key.bytes().all(|b| (b' '..=b'~').contains(&b));
    let key = header.to_str().ok().filter(printable);
    match key.ok_or_else(|| wrong(ErrorCode::Format))? {
        key if key.len() > MAX_LENGTH => Err(wrong(ErrorCode::TooLong)),
        key => Ok(Some(key.into())),
    }
}

/// Of what was asked for, and not of the bytes that asked: a client that writes its JSON anew for each
/// try sends the same payload.
fn fingerprint(task: &NewTask) -> Vec<u8> {
    // Taken apart whole, here and wherever a task is written, so that the compiler finds the places for a
    // new field.
    let NewTask {
        title,
        description,
        completed,
        due_date,
    } = task;
    let mut digest = digest::Context::new(&digest::SHA256);
    for text in [
        Some(title.as_str()),
        description.as_ref().map(|text| text.as_str()),
    ] {
        // The length first, so that no text runs into the next field.
        digest.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        digest.update(text.unwrap_or_default().as_bytes());
    }
    digest.update(&[(*completed).into()]);
    digest.update(&due_date.map_or(i64::MAX, |due| due.micros()).to_le_bytes());
    digest.finish().as_ref().to_vec()
}
