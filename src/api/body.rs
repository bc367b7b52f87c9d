//! Request bodies: read within bounds, then parsed into the domain, noting every wrong field.

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

use super::contract::Contract;
use super::error::ApiError;
use crate::domain::{
    Description, ErrorCode, Invalid, NewTask, Patch, TaskChanges, Timestamp, Title, ValidationError,
};
use tokio::time::timeout;

pub const MAX_BYTES: usize = 64 * 1024;

/// How long a client may take to send a body.
const WITHIN: Duration = Duration::from_secs(10);

/// What a body can be read as.
pub trait FromBody: Sized + 'static {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Invalid>;

    /// What no body at all means, where it means something.
    fn from_nothing() -> Option<Self> {
        None
    }
}

/// A request's body, valid.
pub struct Body<T>(pub T);

impl<T: FromBody> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read(&request, payload).await?;
            if bytes.is_empty()
                && let Some(value) = T::from_nothing()
            {
                return Ok(Self(value));
            }
            check_media_type(&request)?;
            let bad_input = |invalid| ApiError::BadInput(Contract::of(&request), invalid);
            let fields = parse(&bytes).map_err(bad_input)?;
            T::from_fields(&fields).map(Self).map_err(bad_input)
        })
    }
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    let length = request.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, ApiError> {
    let declared = declared_length(request);
    if declared.is_some_and(|length| length > MAX_BYTES) {
        return Err(ApiError::TooLarge);
    }
    // The parser takes everything that follows `Upgrade: websocket` for the body, up to the end of the
    // connection. This service ignores that header, so the body is as long as it says, or empty.
    let headers = request.headers();
    let ends_by_itself = !headers.contains_key(UPGRADE) || headers.contains_key(TRANSFER_ENCODING);
    let end = match ends_by_itself {
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
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(ApiError::TooLarge);
            }
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    };
    timeout(WITHIN, whole).await.unwrap_or(Err(ApiError::BodyTooSlow))
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
        (false, _) => Err(ApiError::MediaType(DETAIL)),
        (_, false) => Err(ApiError::MediaType("Send the body without a Content-Encoding.")),
        _ => Ok(()),
    }
}

/// A blank before a semicolon is no part of a media type, but its parser stumbles over one.
fn media_type(text: &str) -> Option<Mime> {
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    parts.join(";").parse().ok()
}

/// The fields that a client may set, not looked into yet. All others are skipped: frontends send whole
/// objects back. `None` is absent; a `null` is a value here.
#[derive(Default, Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    title: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    description: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    completed: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    due_date: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Fields<'_>, Invalid> {
    let wrong = |code: ErrorCode, message: &str| Invalid::one("body", code.with(message));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(ErrorCode::Json, "must be UTF-8"))?;
    if !text.trim_start().starts_with('{') {
        let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        let code = if json { ErrorCode::Type } else { ErrorCode::Json };
        return Err(wrong(code, "must be a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        // The members are not looked into here, so all that is wrong with valid JSON is one that comes twice.
        let code = if error.is_data() {
            ErrorCode::Repeated
        } else {
            ErrorCode::Json
        };
        wrong(code, &format!("must be valid JSON: {error}"))
    })
}

/// One field's value: null, or what it is read as.
fn value<T: DeserializeOwned>(raw: &RawValue, expected: &str) -> Result<Option<T>, ValidationError> {
    // Of an option, serde makes None out of null by itself.
    serde_json::from_str(raw.get()).map_err(|error| {
        if error.is_syntax() && raw.get().starts_with('"') {
            ErrorCode::Json.with("holds an escape that is no Unicode character")
        } else {
            ErrorCode::Type.with(format!("must be {expected}"))
        }
    })
}

fn not_null() -> ValidationError {
    ErrorCode::Null.with("must not be null")
}

fn title(raw: &RawValue) -> Result<Title, ValidationError> {
    Title::parse(value(raw, "a string")?.ok_or_else(not_null)?)
}

fn completed(raw: &RawValue) -> Result<bool, ValidationError> {
    value(raw, "true or false")?.ok_or_else(not_null)
}

fn description(raw: &RawValue) -> Result<Option<Description>, ValidationError> {
    value(raw, "a string or null")?
        .map(Description::parse)
        .transpose()
}

fn due_date(raw: &RawValue) -> Result<Option<Timestamp>, ValidationError> {
    let expected = "an RFC 3339 date-time such as 2026-01-02T03:04:05Z, a date such as 2026-01-02, or null";
    let wrong = || ErrorCode::Format.with(format!("must be {expected}"));
    let moment = |text: String| Timestamp::parse(&text).ok_or_else(wrong);
    value(raw, expected)?.map(moment).transpose()
}

fn patch<T>(value: Option<Option<T>>) -> Patch<T> {
    match value {
        None => Patch::Keep,
        Some(None) => Patch::Clear,
        Some(Some(value)) => Patch::Set(value),
    }
}

impl FromBody for NewTask {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let title = fields
            .title
            .ok_or_else(|| ErrorCode::Required.with("is required"))
            .and_then(title);
        let title = invalid.check("title", title);
        let description = invalid.optional("description", fields.description.map(description));
        let completed = invalid.optional("completed", fields.completed.map(completed));
        let due_date = invalid.optional("due_date", fields.due_date.map(due_date));
        match title {
            Some(title) => invalid.or(Self {
                title,
                description: description.flatten(),
                completed: completed.unwrap_or(false),
                due_date: due_date.flatten(),
            }),
            None => Err(invalid),
        }
    }
}

impl FromBody for TaskChanges {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let changes = Self {
            title: invalid.optional("title", fields.title.map(title)),
            description: patch(invalid.optional("description", fields.description.map(description))),
            completed: invalid.optional("completed", fields.completed.map(completed)),
            due_date: patch(invalid.optional("due_date", fields.due_date.map(due_date))),
        };
        invalid.or(changes)
    }
}

/// What `PATCH …/complete` brings: the state to set, or nothing, to flip it.
pub struct Completion(pub Option<bool>);

impl FromBody for Completion {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let completed = invalid.optional("completed", fields.completed.map(completed));
        invalid.or(Self(completed))
    }

    fn from_nothing() -> Option<Self> {
        Some(Self(None))
    }
}
