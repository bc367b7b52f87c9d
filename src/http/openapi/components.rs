//! The parameters, schemas and headers in the OpenAPI document that do not depend on tasks.

use serde_json::{Value, json};
use strum::VariantArray as _;

use super::schema;
use crate::domain::{ErrorCode, UserId};
use crate::http::idempotency_key::MAX_KEY_CHARS;

/// Printable ASCII characters, without spaces at the start and the end, because those spaces are not part of a header's
/// value.
const IDEMPOTENCY_KEY_PATTERN: &str = "^[!-~]([ -~]*[!-~])?$";

pub fn parameters() -> Value {
    json!({
        "UserId": {
            "name": "user_id",
            "in": "path",
            "required": true,
            "description": "The id of the token's user. Any other id is answered with 403, whether or not such a user exists.",
            "schema": schema("UserId"),
            "example": "ada",
        },
        "IfMatch": header_parameter(
            "If-Match",
            "One or more `ETag`s of the task, or `*`: the task is changed only if its current `ETag` is among \
             them.",
            &json!({ "type": "string" }),
        ),
        "IfNoneMatch": header_parameter(
            "If-None-Match",
            "One or more `ETag`s, or `*`: the answer is 304 if the current `ETag` is among them.",
            &json!({ "type": "string" }),
        ),
        "IdempotencyKey": header_parameter(
            "Idempotency-Key",
            "Makes the request safe to repeat: requests with the same key create one task.",
            &json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": IDEMPOTENCY_KEY_PATTERN }),
        ),
        "XRequestId": header_parameter(
            "X-Request-Id",
            "The id of this request, for the response and the service's log: up to 128 letters, digits and \
             characters of `-_.:/+=@~`. If it is absent or has another format, the service generates one.",
            &json!({ "type": "string" }),
        ),
        "Traceparent": header_parameter(
            "traceparent",
            "W3C Trace Context. The service writes the trace id to the log lines of the request.",
            &json!({ "type": "string" }),
        ),
    })
}

fn header_parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

pub fn schemas() -> Value {
    json!({
        "UserId": { "type": "string", "minLength": 1, "maxLength": UserId::MAX_CHARS, "pattern": r"^[^\x00]*$" },
        "Problem": problem(),
        "Health": {
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "type": "string", "enum": ["alive", "ready"] } },
        },
    })
}

fn problem() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "pattern": "^urn:todo-backend:problem:[a-z-]+$",
                "description": "Identifies the kind of problem, for programs.",
            },
            "title": text("The kind of problem, for people."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text("One sentence that says what to change."),
            "request_id": text("The value of the header X-Request-Id, which the service's log contains as well."),
            "errors": {
                "description": "All invalid fields, if the input is invalid.",
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": text("A member of the body, a parameter, a header, or `body` for the whole body."),
                        "code": {
                            "type": "string",
                            "enum": ErrorCode::VARIANTS,
                            "description": "The kind of error, for programs.",
                        },
                        "message": text("What is wrong, as the end of a sentence that begins with the field's name."),
                    },
                },
            },
        },
    })
}

pub fn headers() -> Value {
    let header = |required: bool, description: &str, schema: Value, example: &str| json!({ "required": required, "description": description, "schema": schema, "example": example });
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    json!({
        "X-Request-Id": header(
            true,
            "The id of this request: the client's, or a generated one.",
            text("^[A-Za-z0-9_.:/+=@~-]{1,128}$"),
            "5f0c6d1e8b5b4c1e9a37c4b7d2a90f13",
        ),
        "ETag": header(true, "Identifies this version of the representation.", text("^\"[A-Za-z0-9_-]+\"$"), "\"1\""),
        "Cache-Control": header(
            true,
            "Only the client's own cache may store the response, and must revalidate it each time.",
            text("^private, no-cache$"),
            "private, no-cache",
        ),
        "Location": header(
            true,
            "The URL of the new task, or of the documentation page.",
            json!({ "type": "string", "format": "uri-reference" }),
            "/api/tasks/1",
        ),
        "Link": header(
            false,
            "The URL of the next page, if there was a `limit` and more tasks follow.",
            text("^<[^>]+>; rel=\"next\"$"),
            "</api/tasks?status=all&sort=created&limit=20&cursor=zK3v>; rel=\"next\"",
        ),
        "WWW-Authenticate": header(
            true,
            "The authentication scheme.",
            text("^Bearer "),
            "Bearer realm=\"todo-backend\"",
        ),
        "Allow": header(true, "The methods that this resource supports.", text("^[A-Z]+(, [A-Z]+)*$"), "GET, HEAD, POST"),
        "Retry-After": {
            "required": true,
            "description": "How many seconds to wait before the next request.",
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        },
    })
}
