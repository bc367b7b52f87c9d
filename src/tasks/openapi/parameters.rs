//! The parameters of operations on tasks: the id in the path, and the query.

use serde_json::{Value, json};

use crate::domain::{Page, Sort, Status};
use crate::http::openapi::schema;

pub fn components() -> Value {
    json!({
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
    })
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn one_of(names: &str, default: &str) -> Value {
    let names: Vec<&str> = names.split(", ").collect();
    json!({ "type": "string", "enum": names, "default": default })
}
