//! The schemas of tasks, with the domain's own limits.

use serde_json::{Value, json};

use crate::domain::{Description, Task, TaskId, Timestamp, Title, UserId};
use crate::http::openapi::schema;
use crate::tasks::response::json_of;

/// "Not blank and without NUL", by Unicode's White_Space, as the service has it. Regular expressions do not
/// agree on `\s`: JavaScript's lacks U+0085 and has U+FEFF, and Python's has U+001C to U+001F. The characters
/// are not listed one by one, because a generator that writes U+2028 as it is breaks the literal in two.
const TITLE: &str = r"^[^\x00]*(?:[^\s\x00\x85]|[\x1c-\x1f\ufeff])[^\x00]*$";
const NO_NUL: &str = r"^[^\x00]*$";
const OUR_TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";

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
