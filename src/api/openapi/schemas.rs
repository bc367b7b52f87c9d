//! The shapes of what goes in and out, with the domain's own limits. Must not know in which operation
//! they are used.

use serde_json::{Value, json};

use super::component;
use crate::api::view::json_of;
use crate::domain::{Description, ErrorCode, Task, TaskId, Timestamp, Title, UserId};

/// "Not blank and without NUL", by Unicode's White_Space, as the service has it. Regular expressions do not
/// agree on `\s`: JavaScript's lacks U+0085 and has U+FEFF, and Python's has U+001C to U+001F. The characters
/// are not listed one by one, because a generator that writes U+2028 as it is breaks the literal in two.
const TITLE: &str = r"^[^\x00]*(?:[^\s\x00\x85]|[\x1c-\x1f\ufeff])[^\x00]*$";
const NO_NUL: &str = r"^[^\x00]*$";
const OUR_TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";

pub fn schema(name: &str) -> Value {
    component("schemas", name)
}

pub fn components() -> Value {
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
            "description": "What is absent stays as it is; `null` clears `description` and `due_date`.",
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
                    "description": "The state to set. Absent: the other one than now.",
                },
            },
        },
        "Title": {
            "description": "Not blank, and without NUL. Comes back exactly as it was sent.",
            "type": "string",
            "minLength": 1,
            "maxLength": Title::MAX_CHARS,
            "pattern": TITLE,
        },
        "Description": {
            "description": "Without NUL.",
            "type": ["string", "null"],
            "maxLength": Description::MAX_CHARS,
            "pattern": NO_NUL,
        },
        "DueDate": {
            "description": "An RFC 3339 date-time with any offset, or a date: its midnight in UTC. In UTC \
                it has to lie in the years 0000 to 9999. Kept to the microsecond.",
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "string", "format": "date" },
                { "type": "null" },
            ],
            "examples": ["2026-01-02T04:04:05.5+01:00", "2026-01-02", null],
        },
        "TaskId": {
            // No `format: int64`: generators make a BigInt of it, which compares unequal to the id in the JSON.
            "description": "Exact in JavaScript too.",
            "type": "integer",
            "minimum": 1,
            "maximum": TaskId::MAX,
        },
        "UserId": { "type": "string", "minLength": 1, "maxLength": UserId::MAX_CHARS, "pattern": NO_NUL },
        "Problem": problem(),
        "Health": {
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "type": "string", "enum": ["alive", "ready"] } },
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
                "description": "Grows with every change; the number in the task's `ETag`. Send it back as \
                    `If-Match: \"1\"` to write only if nobody was faster.",
                "type": "integer",
                "minimum": 1,
            },
        },
    })
}

/// Narrower than what the service takes: it always writes the same form.
fn time(types: &[&str]) -> Value {
    json!({
        "description": "In UTC, with microseconds.",
        "type": types,
        "format": "date-time",
        "pattern": OUR_TIME,
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

/// A task as the service writes it. `None` never comes out; a test validates every example.
pub fn example() -> Option<Value> {
    let at = |text| Timestamp::parse(text);
    let task = Task {
        id: TaskId(1),
        title: "Buy milk".into(),
        description: Some("Two bottles".into()),
        completed: false,
        due_date: Some(at("2026-01-09T17:00:00Z")?),
        created_at: at("2026-01-02T03:04:05.678901Z")?,
        updated_at: at("2026-01-02T03:04:05.678901Z")?,
        version: 1,
    };
    serde_json::from_slice(json_of(&UserId::parse("ada")?, &task).as_ref()).ok()
}
