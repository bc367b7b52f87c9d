//! The parameters of operations on tasks: the id in the path, and the query parameters.

use serde_json::{Value, json};
use strum::VariantNames as _;

use crate::domain::{Page, Sort, Status};
use crate::http::openapi::schema;

pub fn components() -> Value {
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
