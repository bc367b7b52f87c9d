//! The error responses in the OpenAPI document, generated from `ApiError`.

use serde_json::{Map, Value, json};

use super::{component, headers, schema};
use crate::auth::Refusal;
use crate::domain::{ErrorCode, ValidationErrors};
use crate::http::contract::Contract;
use crate::http::error::{ApiError, NO_SUCH_ROUTE};
use crate::http::json_body::MAX_BODY_BYTES;

/// The headers of error responses, with the capitalization that the document uses.
const DOCUMENTED_HEADERS: [&str; 3] = ["Allow", "Retry-After", "WWW-Authenticate"];

pub static UNAUTHENTICATED: ApiError = ApiError::Unauthenticated(Refusal::Missing);
pub static INVALID_TOKEN: ApiError = ApiError::Unauthenticated(Refusal::NotBearer);
pub static RATE_LIMITED: ApiError = ApiError::RateLimited {
    retry_after_seconds: 1,
};
pub static INTERNAL: ApiError = ApiError::Panicked;
pub static UNAVAILABLE: ApiError = ApiError::Unauthenticated(Refusal::NoKeys {
    algorithm: "EdDSA",
    url: String::new(),
    problem: String::new(),
});
pub static NO_SUCH_FILE: ApiError = ApiError::NotFound(&NO_SUCH_ROUTE);
pub static BODY_TOO_LARGE: ApiError = ApiError::BodyTooLarge {
    max_bytes: MAX_BODY_BYTES,
};
pub static UNSUPPORTED_MEDIA_TYPE: ApiError =
    ApiError::UnsupportedMediaType("Send the body without a Content-Encoding.");
/// No operation refers to this response, because it is the response to methods for which there is no operation.
static METHOD_NOT_ALLOWED: ApiError = ApiError::MethodNotAllowed {
    allow: "GET, HEAD, POST",
};

pub fn bad_input(contract: Contract) -> ApiError {
    let mut errors = ValidationErrors::from_error("title", ErrorCode::Blank.with("must not be blank"));
    errors.add("completed", ErrorCode::Type.with("must be true or false"));
    ApiError::BadInput(contract, errors)
}

/// The error responses of an operation, by status. Errors with the same status become examples of one response.
pub fn responses(errors: &[&ApiError]) -> Map<String, Value> {
    let status = |error: &ApiError| error.problem().status;
    let mut responses = Map::new();
    for error in errors {
        let with_same_status: Vec<_> = errors
            .iter()
            .copied()
            .filter(|other| status(other) == status(error))
            .collect();
        let name = error.problem().component;
        let response = match with_same_status
            .iter()
            .all(|other| other.problem().component == name)
        {
            true => component("responses", name),
            false => response(&with_same_status),
        };
        responses.insert(status(error).as_str().to_owned(), response);
    }
    responses
}

/// The error responses as components of the document, by name. `METHOD_NOT_ALLOWED` is always added.
pub fn components(errors: &[&ApiError]) -> Map<String, Value> {
    let errors: Vec<_> = errors.iter().copied().chain([&METHOD_NOT_ALLOWED]).collect();
    let name = |error: &ApiError| error.problem().component.to_owned();
    let with_same_name = |error| {
        let others = errors.iter().copied();
        let same: Vec<_> = others.filter(|other| name(other) == name(error)).collect();
        (name(error), response(&same))
    };
    errors.iter().copied().map(with_same_name).collect()
}

fn response(errors: &[&ApiError]) -> Value {
    const REQUEST_ID: &str = "5f0c6d1e8b5b4c1e9a37c4b7d2a90f13";
    let mut examples = Map::new();
    let mut descriptions = Vec::new();
    let mut header_names = Vec::new();
    for error in errors {
        let problem = error.problem();
        descriptions.push(problem.description);
        header_names.extend(problem.header.and_then(|(name, _)| {
            let documented = DOCUMENTED_HEADERS.iter();
            documented
                .copied()
                .find(|documented| name.as_str().eq_ignore_ascii_case(documented))
        }));
        let body: Value = serde_json::from_str(&error.body(REQUEST_ID)).unwrap_or_default();
        examples.insert(problem.kind.to_owned(), json!({ "value": body }));
    }
    descriptions.dedup();
    json!({
        "description": descriptions.join(" "),
        "headers": headers(&header_names),
        "content": { "application/problem+json": { "schema": schema("Problem"), "examples": examples } },
    })
}
