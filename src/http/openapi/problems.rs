//! The error responses in the OpenAPI document, generated from `ApiError`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{component, headers, schema};
use crate::auth::Refusal;
use crate::domain::{ErrorCode, ValidationErrors};
use crate::http::contract::Contract;
use crate::http::error::{ApiError, NO_SUCH_ROUTE};
use crate::http::json_body::MAX_BODY_BYTES;
use crate::http::problem::Problem;

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
    let by_status = group(errors, |problem| problem.status.as_str().to_owned());
    let responses = by_status.into_iter().map(|(status, errors)| {
        let by_name = group(&errors, |problem| problem.component.to_owned());
        let response = match by_name.first_key_value() {
            Some((name, _)) if by_name.len() == 1 => component("responses", name),
            _ => response(&errors),
        };
        (status, response)
    });
    responses.collect()
}

/// The error responses as components of the document, by name. `METHOD_NOT_ALLOWED` is always added.
pub fn components(errors: &[&ApiError]) -> Map<String, Value> {
    let errors = [errors, &[&METHOD_NOT_ALLOWED]].concat();
    let by_name = group(&errors, |problem| problem.component.to_owned());
    let responses = by_name
        .into_iter()
        .map(|(name, errors)| (name, response(&errors)));
    responses.collect()
}

fn group<'a>(errors: &[&'a ApiError], key: fn(&Problem) -> String) -> BTreeMap<String, Vec<&'a ApiError>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for error in errors {
        groups.entry(key(&error.problem())).or_default().push(*error);
    }
    groups
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
