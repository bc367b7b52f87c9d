//! What goes in beside the body: parts of the path, the query, headers.

use serde_json::{Value, json};

use super::component;
use super::schemas::schema;
use crate::api::idempotency;
use crate::domain::{Page, Sort, Status};

/// Printable ASCII. Blanks around a header's value are not part of it, so none is at either end.
const KEY: &str = "^[!-~]([ -~]*[!-~])?$";

pub fn parameter(name: &str) -> Value {
    component("parameters", name)
}

pub fn components() -> Value {
    json!({
        "UserId": {
            "name": "user_id",
            "in": "path",
            "required": true,
            "description": "The token's user. Any other is 403, whether or not there is one.",
            "schema": schema("UserId"),
            "example": "ada",
        },
        "TaskId": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The task's `id`, in the form that the service writes it in.",
            "schema": schema("TaskId"),
            "example": 1,
        },
        "Status": query("status", "Which tasks.", &one_of(Status::NAMES, "all")),
        "Sort": query("sort", "In which order.", &one_of(Sort::NAMES, "created")),
        "Limit": query(
            "limit",
            "How many tasks to answer at most. Absent: all of them.",
            &json!({ "type": "integer", "minimum": 1, "maximum": Page::MAX_LIMIT }),
        ),
        "Cursor": query(
            "cursor",
            "Where the page begins: comes in the `Link` of the page before, with the `limit`, the \
             `status` and the `sort` that it belongs to. Not to be made up.",
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
        "IfMatch": header(
            "If-Match",
            "One or more `ETag`s of the task, or `*`: write only if it still is what one of them stands \
             for.",
            &json!({ "type": "string" }),
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "One or more `ETag`s, or `*`: answer 304 if the client has the answer already.",
            &json!({ "type": "string" }),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Makes it safe to ask again: under one key one task is created, however often it is asked for.",
            &json!({ "type": "string", "minLength": 1, "maxLength": idempotency::MAX_LENGTH, "pattern": KEY }),
        ),
        "XRequestId": header(
            "X-Request-Id",
            "A name for this request, which comes back in the answer and stands in the log. Up to 128 \
             letters, digits and characters of `-_.:/+=@~`; anything else is replaced.",
            &json!({ "type": "string" }),
        ),
    })
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

fn one_of(names: &str, default: &str) -> Value {
    let names: Vec<&str> = names.split(", ").collect();
    json!({ "type": "string", "enum": names, "default": default })
}
