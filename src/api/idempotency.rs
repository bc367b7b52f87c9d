//! `Idempotency-Key`: a client's way to ask again for a task that it may have created.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;

use super::contract::Contract;
use super::problem::ApiError;
use crate::domain::{Invalid, NewTask};
use crate::store::IdempotencyKey;

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const MAX_LENGTH: usize = 255;

pub struct RetryKey(Option<String>);

impl FromRequest for RetryKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let key = parse(request).map(Self);
        let wrong = |message| Invalid::one("Idempotency-Key", message);
        ready(key.map_err(|message| ApiError::BadInput(Contract::of(request), wrong(message))))
    }
}

fn parse(request: &HttpRequest) -> Result<Option<String>, String> {
    let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    if headers.next().is_some() {
        return Err("must be given once".into());
    }
    // Printable ASCII, which is what `to_str` takes, less the tab.
    let key = header.to_str().ok().filter(|key| {
        let printable = key.bytes().all(|b| (b' '..=b'~').contains(&b));
        printable && (1..=MAX_LENGTH).contains(&key.len())
    });
    key.map(|key| Some(key.into()))
        .ok_or_else(|| format!("must have 1 to {MAX_LENGTH} printable ASCII characters"))
}

impl RetryKey {
    pub fn with_payload(self, task: &NewTask) -> Option<IdempotencyKey> {
        let key = self.0?;
        let fingerprint = fingerprint(task);
        Some(IdempotencyKey { key, fingerprint })
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
