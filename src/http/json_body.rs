//! Reads JSON request bodies, limited in size and time, and parses them into domain types.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use actix_web::mime::Mime;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::contract::Contract;
use super::error::ApiError;
use crate::domain::{ErrorCode, ValidationError, ValidationErrors};

pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The maximum time for a client to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A type that a JSON object can be parsed into.
pub trait FromJson: Sized + 'static {
    fn from_object(object: &JsonObject<'_>) -> Result<Self, ValidationErrors>;

    /// The value of an empty body, or `None` if the body must not be empty.
    fn from_empty() -> Option<Self> {
        None
    }
}

/// The members of a JSON object. Their values are not parsed yet, so that all invalid values can be reported, not only
/// the first. Unknown members are ignored, because frontends send back whole tasks.
pub struct JsonObject<'a>(Vec<(Name<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl JsonObject<'_> {
    /// The value of the member with this name, or all its values if the object contains the member more than once.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &RawValue> {
        let members = self.0.iter().filter(move |(Name(found), _)| found == name);
        members.map(|(_, value)| *value)
    }

    /// Parses the value of a member, as `ValidationErrors::parse` does.
    pub fn parse<T>(
        &self,
        name: &'static str,
        errors: &mut ValidationErrors,
        parse: impl FnOnce(&RawValue) -> Result<T, ValidationError>,
    ) -> Option<T> {
        errors.parse(name, self.values(name), parse)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = JsonObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, _>()? {
                    // A name with an unpaired surrogate is valid JSON but not valid Unicode. The member is skipped,
                    // like any other unknown member.
                    members.extend(serde_json::from_str(name.get()).map(|name| (name, value)));
                }
                Ok(JsonObject(members))
            }
        }
        deserializer.deserialize_map(Members)
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
            let bytes = read_body(&request, payload).await?;
            if bytes.is_empty()
                && let Some(value) = T::from_empty()
            {
                return Ok(Self(value));
            }
            check_media_type(&request)?;
            let bad_input = |errors| ApiError::BadInput(Contract::of(&request), errors);
            let object = parse_object(&bytes).map_err(bad_input)?;
            T::from_object(&object).map(Self).map_err(bad_input)
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

async fn read_body(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, ApiError> {
    let declared = declared_length(request);
    if declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(TOO_LARGE);
    }
    // If a request has `Upgrade: websocket`, its payload in actix does not end before the connection does. The service
    // does not upgrade connections, so the body ends after its Content-Length, or is empty without a Content-Length.
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
    let is_json = text.and_then(parse_media_type).is_some_and(|mime| {
        let utf8 = mime.get_param("charset").is_none_or(|charset| charset == "utf-8");
        let json = mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json");
        mime.type_() == "application" && json && utf8
    });
    let is_unencoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    match (is_json, is_unencoded) {
        (false, _) => Err(ApiError::UnsupportedMediaType(DETAIL)),
        (_, false) => Err(ApiError::UnsupportedMediaType(
            "Send the body without a Content-Encoding.",
        )),
        _ => Ok(()),
    }
}

/// Removes white space around semicolons first, because `Mime` does not accept a space before a semicolon, which
/// RFC 9110 allows.
fn parse_media_type(text: &str) -> Option<Mime> {
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    parts.join(";").parse().ok()
}

fn parse_object(bytes: &[u8]) -> Result<JsonObject<'_>, ValidationErrors> {
    let invalid = |code: ErrorCode, message: String| ValidationErrors::from_error("body", code.with(message));
    let text = std::str::from_utf8(bytes).map_err(|_| invalid(ErrorCode::Json, "must be UTF-8".into()))?;
    if text.starts_with('\u{feff}') {
        return Err(invalid(
            ErrorCode::Json,
            "must not start with a byte order mark".into(),
        ));
    }
    serde_json::from_str(text).map_err(|error| {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        match is_json || !text.trim_start().starts_with('{') {
            true if is_json => invalid(ErrorCode::Type, "must be a JSON object".into()),
            true => invalid(ErrorCode::Json, "must be a JSON object".into()),
            false => invalid(ErrorCode::Json, format!("must be valid JSON: {error}")),
        }
    })
}

/// Parses the value of a member. `null` becomes `None`.
pub fn parse_value<T: DeserializeOwned>(
    raw: &RawValue,
    expected: &str,
) -> Result<Option<T>, ValidationError> {
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
