//! Reads JSON request bodies, limited in size and time, and parses them into domain types.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use actix_web::mime::Mime;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::contract::Contract;
use super::error::ApiError;
use crate::domain::{ErrorCode, ValidationError, ValidationErrors};

pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A type that a JSON object can be parsed into.
pub trait FromJson: Sized + 'static {
    /// The object's members, not parsed yet, so that every invalid one can be reported and not only the first.
    type Fields<'a>: Deserialize<'a>;

    fn from_fields(fields: &Self::Fields<'_>) -> Result<Self, ValidationErrors>;

    /// The value of an empty body, if that is allowed.
    fn from_empty() -> Option<Self> {
        None
    }
}

pub struct JsonBody<T>(pub T);

impl<T: FromJson> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read(&request, payload).await?;
            if bytes.is_empty()
                && let Some(value) = T::from_empty()
            {
                return Ok(Self(value));
            }
            check_media_type(&request)?;
            let bad_input = |errors| ApiError::BadInput(Contract::of(&request), errors);
            let fields = parse::<T::Fields<'_>>(&bytes).map_err(bad_input)?;
            T::from_fields(&fields).map(Self).map_err(bad_input)
        })
    }
}

const TOO_LARGE: ApiError = ApiError::BodyTooLarge {
    max_bytes: MAX_BODY_BYTES,
};

fn declared_length(request: &HttpRequest) -> Option<usize> {
    let length = request.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, ApiError> {
    let declared = declared_length(request);
    if declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(TOO_LARGE);
    }
    // After `Upgrade: websocket`, actix reads the body until the connection ends. This service does not upgrade
    // connections, so the body ends after its Content-Length, or is empty without one.
    let headers = request.headers();
    let has_end = !headers.contains_key(UPGRADE) || headers.contains_key(TRANSFER_ENCODING);
    let end = match has_end {
        true => usize::MAX,
        false => declared.unwrap_or(0),
    };
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(4_096));
    let whole = async {
        while bytes.len() < end
            && let Some(chunk) = payload.next().await
        {
            let chunk = chunk.map_err(|_| ApiError::BodyCutOff)?;
            let chunk = &chunk[..chunk.len().min(end - bytes.len())];
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(TOO_LARGE);
            }
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    };
    timeout(BODY_TIMEOUT, whole)
        .await
        .unwrap_or(Err(ApiError::RequestTimeout))
}

fn check_media_type(request: &HttpRequest) -> Result<(), ApiError> {
    const DETAIL: &str = "Send JSON in UTF-8, with the header Content-Type: application/json.";
    let text = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let json = text.and_then(media_type).is_some_and(|mime| {
        let utf8 = mime.get_param("charset").is_none_or(|charset| charset == "utf-8");
        let json = mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json");
        mime.type_() == "application" && json && utf8
    });
    let plain = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    match (json, plain) {
        (false, _) => Err(ApiError::UnsupportedMediaType(DETAIL)),
        (_, false) => Err(ApiError::UnsupportedMediaType(
            "Send the body without a Content-Encoding.",
        )),
        _ => Ok(()),
    }
}

/// RFC 9110 allows a space before a semicolon; the parser does not.
fn media_type(text: &str) -> Option<Mime> {
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    parts.join(";").parse().ok()
}

/// For `deserialize_with`: distinguishes `null`, which is a value, from an absent member, which is `None`.
pub fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

fn parse<'a, F: Deserialize<'a>>(bytes: &'a [u8]) -> Result<F, ValidationErrors> {
    let invalid = |code: ErrorCode, message: &str| ValidationErrors::one("body", code.with(message));
    let text = std::str::from_utf8(bytes).map_err(|_| invalid(ErrorCode::Json, "must be UTF-8"))?;
    if !text.trim_start().starts_with('{') {
        let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        let code = if json { ErrorCode::Type } else { ErrorCode::Json };
        return Err(invalid(code, "must be a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        // The members are not parsed yet, so the only possible error in valid JSON is a repeated member.
        let code = if error.is_data() {
            ErrorCode::Repeated
        } else {
            ErrorCode::Json
        };
        invalid(code, &format!("must be valid JSON: {error}"))
    })
}

/// Parses a member. `null` is `None`.
pub fn value<T: DeserializeOwned>(raw: &RawValue, expected: &str) -> Result<Option<T>, ValidationError> {
    serde_json::from_str(raw.get()).map_err(|error| {
        if error.is_syntax() && raw.get().starts_with('"') {
            ErrorCode::Json.with("contains an escape that is not a Unicode character")
        } else {
            ErrorCode::Type.with(format!("must be {expected}"))
        }
    })
}

pub fn not_null() -> ValidationError {
    ErrorCode::Null.with("must not be null")
}
