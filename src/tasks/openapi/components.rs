//! The parameters and schemas of operations on tasks, with the limits of the domain types.

use serde_json::{Value, json};
use strum::VariantNames as _;

use crate::domain::{Description, Page, Sort, Status, TaskId, Title};
use crate::http::openapi::schema;

/// Matches texts that are not blank and do not contain NUL. As in the service, a text is blank if all its characters
/// have the Unicode property White_Space. `\s` differs from this property, so the pattern lists the differences: in
/// JavaScript, `\s` lacks U+0085 and includes U+FEFF; in Python, it includes U+001C to U+001F. The pattern does not
/// list all white space instead, because some code generators copy U+2028 into a string literal without escaping it.
const TITLE_PATTERN: &str = r"^[^\x00]*(?:[^\s\x00\x85]|[\x1c-\x1f\ufeff])[^\x00]*$";
const NO_NUL_PATTERN: &str = r"^[^\x00]*$";
const TIMESTAMP_PATTERN: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";

pub fn parameters() -> Value {
    json!({
        "TaskId": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The task's `id`, without a sign or leading zeros.",
            "schema": schema("TaskId"),
            "example": 1,
        },
        "Status": query("status", "Which tasks to return.", &one_of(Status::VARIANTS, "all")),
        "Sort": query("sort", "The order of the tasks.", &one_of(Sort::VARIANTS, "created")),
        "Limit": query(
            "limit",
            "The maximum number of tasks to return. If it is absent, all tasks are returned.",
            &json!({ "type": "integer", "minimum": 1, "maximum": Page::MAX_LIMIT }),
        ),
        "Cursor": query(
            "cursor",
            "Where the page begins. It is part of the URL in the previous page's `Link`, and only valid with \
             the same `status` and `sort`.",
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
        ),
    })
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn one_of(names: &[&str], default: &str) -> Value {
    json!({ "type": "string", "enum": names, "default": default })
}

pub fn schemas() -> Value {
    json!({
        "Task": task(),
        "Tasks": { "type": "array", "items": schema("Task") },
        "NewTask": {
            "type": "object",
            "required": ["title"],
            "properties": {
                "title": schema("Title"),
                "description": schema("Description"),
                "completed": { "type": "boolean", "default": false },
                "due_date": schema("DueDate"),
            },
        },
        "TaskChanges": {
            "description": "Absent members stay unchanged; `null` clears `description` and `due_date`.",
            "type": "object",
            "properties": {
                "title": schema("Title"),
                "description": schema("Description"),
                "completed": { "type": "boolean" },
                "due_date": schema("DueDate"),
            },
        },
        "Completion": {
            "type": "object",
            "properties": {
                "completed": {
                    "type": "boolean",
                    "description": "The value to set. If it is absent, the current value is flipped.",
                },
            },
        },
        "Title": {
            "description": "Not blank, and without NUL. It is returned exactly as it was sent.",
            "type": "string",
            "minLength": 1,
            "maxLength": Title::MAX_CHARS,
            "pattern": TITLE_PATTERN,
        },
        "Description": {
            "description": "Without NUL.",
            "type": ["string", "null"],
            "maxLength": Description::MAX_CHARS,
            "pattern": NO_NUL_PATTERN,
        },
        "DueDate": {
            "description": "An RFC 3339 date-time with any offset, or a date, which means midnight UTC. In UTC, \
                the year must be between 0000 and 9999. Digits after the microseconds are dropped.",
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "string", "format": "date" },
                { "type": "null" },
            ],
            "examples": ["2026-01-02T04:04:05.5+01:00", "2026-01-02", null],
        },
        "TaskId": {
            // There is no `format: int64`, because code generators for JavaScript would use the type BigInt, which
            // `JSON.parse` does not return.
            "description": "JavaScript can represent every id exactly.",
            "type": "integer",
            "minimum": 1,
            "maximum": TaskId::MAX,
        },
    })
}

fn task() -> Value {
    json!({
        "type": "object",
        "required": [
            "id", "user_id", "title", "description", "completed", "due_date", "created_at", "updated_at",
            "version",
        ],
        "properties": {
            "id": schema("TaskId"),
            "user_id": schema("UserId"),
            "title": schema("Title"),
            "description": schema("Description"),
            "completed": { "type": "boolean" },
            "due_date": time(&["string", "null"]),
            "created_at": time(&["string"]),
            "updated_at": time(&["string"]),
            "version": {
                "description": "Incremented by every change; the number in the task's `ETag`. Send it as \
                    `If-Match: \"1\"` to change the task only if nobody else has changed it.",
                "type": "integer",
                "minimum": 1,
            },
        },
    })
}

/// A time in the format in which the service writes it. The service accepts times in other formats as well.
fn time(types: &[&str]) -> Value {
    json!({
        "description": "In UTC, with microseconds.",
        "type": types,
        "format": "date-time",
        "pattern": TIMESTAMP_PATTERN,
    })
}

/// An example of a task.
pub fn example() -> Value {
    json!({
        "id": 1,
        "user_id": "ada",
        "title": "Buy milk",
        "description": "Two bottles",
        "completed": false,
        "due_date": "2026-01-09T17:00:00.000000Z",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "updated_at": "2026-01-02T03:04:05.678901Z",
        "version": 1,
    })
}
