//! The error responses in the OpenAPI document, generated from `ApiError`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{component, headers, schema};
use crate::auth::Refusal;
use crate::domain::{ErrorCode, ValidationErrors};
use crate::http::contract::Contract;
use crate::http::error::ApiError;
use crate::http::json_body::MAX_BODY_BYTES;
use crate::store::StoreError;

/// The headers of error responses, with the capitalization that the document uses.
const DOCUMENTED_HEADERS: [&str; 3] = ["Allow", "Retry-After", "WWW-Authenticate"];

/// The errors of every operation below `/api/`.
pub fn of_api() -> Vec<ApiError> {
    let mut errors = of_service();
    errors.extend([
        ApiError::Unauthenticated(Refusal::Missing),
        ApiError::Unauthenticated(Refusal::NotBearer),
        ApiError::RateLimited {
            retry_after_seconds: 1,
        },
    ]);
    errors
}

/// The errors of every operation that needs the database.
pub fn of_service() -> Vec<ApiError> {
    vec![
        ApiError::Internal(String::new()),
        ApiError::Store(StoreError::NotMigrated),
    ]
}

/// The errors of every operation that reads a body.
pub fn of_bodies() -> [ApiError; 4] {
    [
        ApiError::BodyCutOff,
        ApiError::RequestTimeout,
        ApiError::BodyTooLarge {
            max_bytes: MAX_BODY_BYTES,
        },
        ApiError::UnsupportedMediaType("Send the body without a Content-Encoding."),
    ]
}

pub fn bad_input(contract: Contract) -> ApiError {
    let mut errors = ValidationErrors::from_error("title", ErrorCode::Blank.with("must not be blank"));
    errors.add("completed", ErrorCode::Type.with("must be true or false"));
    ApiError::BadInput(contract, errors)
}

/// The error responses of an operation, by status. Errors with the same status become examples of one response, which
/// is added to `components` and referred to, unless it consists of different components.
pub fn responses(errors: &[ApiError], components: &mut Value) -> Map<String, Value> {
    let mut by_status = BTreeMap::<_, Vec<_>>::new();
    for error in errors {
        by_status
            .entry(error.problem().status.as_u16())
            .or_default()
            .push(error);
    }
    let responses = by_status.into_iter().map(|(status, errors)| {
        let name = errors[0].component();
        let mut described = response(&errors);
        if errors.iter().all(|error| error.component() == name) {
            components[name] = described;
            described = component("responses", name);
        }
        (status.to_string(), described)
    });
    responses.collect()
}

pub fn response(errors: &[&ApiError]) -> Value {
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
