//! The components of the OpenAPI document that every resource uses: headers, parameters, schemas.

use serde_json::{Value, json};

use super::schema;
use crate::domain::{ErrorCode, UserId};
use crate::http::idempotency_key::MAX_KEY_LENGTH;

/// Printable ASCII. Blanks around a header's value are not part of it, so there is none at either end.
const KEY: &str = "^[!-~]([ -~]*[!-~])?$";

pub fn parameters() -> Value {
    json!({
        "UserId": {
            "name": "user_id",
            "in": "path",
            "required": true,
            "description": "The token's user. Any other is 403, whether or not there is one.",
            "schema": schema("UserId"),
            "example": "ada",
        },
        "IfMatch": header_parameter(
            "If-Match",
            "One or more `ETag`s of the task, or `*`: write only if it still is what one of them stands \
             for.",
            &json!({ "type": "string" }),
        ),
        "IfNoneMatch": header_parameter(
            "If-None-Match",
            "One or more `ETag`s, or `*`: answer 304 if the client has the answer already.",
            &json!({ "type": "string" }),
        ),
        "IdempotencyKey": header_parameter(
            "Idempotency-Key",
            "Makes it safe to ask again: under one key one task is created, however often it is asked for.",
            &json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": KEY }),
        ),
        "XRequestId": header_parameter(
            "X-Request-Id",
            "A name for this request, which comes back in the answer and stands in the log. Up to 128 \
             letters, digits and characters of `-_.:/+=@~`; anything else is replaced.",
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
                "description": "Tells the kinds of problems apart, for programs.",
            },
            "title": text("The kind of problem, for people."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text("One plain sentence that says what to change."),
            "request_id": text("The same as in the header X-Request-Id; the service's log has it too."),
            "errors": {
                "description": "Of bad input: every wrong field.",
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": text("A member of the body, a parameter, or `body` for the whole of it."),
                        "code": {
                            "type": "string",
                            "enum": ErrorCode::ALL,
                            "description": "The kind of mistake, for programs.",
                        },
                        "message": text("What it must be; reads on from the field's name."),
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
            "The name of this request: the client's, or a new one.",
            text("^[A-Za-z0-9_.:/+=@~-]{1,128}$"),
            "5f0c6d1e8b5b4c1e9a37c4b7d2a90f13",
        ),
        "ETag": header(true, "Stands for exactly this answer.", text("^\"[A-Za-z0-9_-]+\"$"), "\"1\""),
        "Cache-Control": header(
            true,
            "For the client's own cache, and to be asked about each time.",
            text("^private, no-cache$"),
            "private, no-cache",
        ),
        "Location": header(
            true,
            "The address of the new task, or of the page.",
            json!({ "type": "string", "format": "uri-reference" }),
            "/api/tasks/1",
        ),
        "Link": header(
            false,
            "The next page, when there was a `limit` and there is more.",
            text("^<[^>]+>; rel=\"next\"$"),
            "</api/tasks?status=all&sort=created&limit=20&cursor=zK3v>; rel=\"next\"",
        ),
        "WWW-Authenticate": header(
            true,
            "What to authenticate with.",
            text("^Bearer "),
            "Bearer realm=\"todo-backend\"",
        ),
        "Allow": header(true, "The methods that this address has.", text("^[A-Z]+(, [A-Z]+)*$"), "GET, HEAD, POST"),
        "Retry-After": {
            "required": true,
            "description": "How many seconds to wait before the next try.",
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        },
    })
}
