//! Checks of a task, wherever it appears in a response.

use chrono::{DateTime, Utc};
use serde_json::Value;

const MEMBERS: [&str; 9] = [
    "completed",
    "created_at",
    "description",
    "due_date",
    "id",
    "title",
    "updated_at",
    "user_id",
    "version",
];

/// Checks that the value has exactly the members of a task, with the right types.
#[track_caller]
pub fn assert_is_task(task: &Value) {
    let mut members: Vec<&str> = task
        .as_object()
        .expect("a task should be a JSON object")
        .keys()
        .map(|k| &**k)
        .collect();
    members.sort_unstable();
    assert_eq!(members, MEMBERS, "{task}");
    assert!(
        (1..1 << 53).contains(&id(task)),
        "JavaScript cannot represent the id: {task}"
    );
    assert!(task["user_id"].is_string() && task["title"].is_string(), "{task}");
    assert!(
        task["description"].is_string() || task["description"].is_null(),
        "{task}"
    );
    assert!(task["completed"].is_boolean(), "{task}");
    assert!(
        task["version"].as_i64().is_some_and(|version| version >= 1),
        "{task}"
    );
    assert!(task["due_date"].is_null() || time(&task["due_date"]) > DateTime::<Utc>::MIN_UTC);
    assert!(time(&task["created_at"]) <= time(&task["updated_at"]), "{task}");
}

#[track_caller]
pub fn id(task: &Value) -> i64 {
    task["id"]
        .as_i64()
        .unwrap_or_else(|| panic!("`id` is not an integer: {task}"))
}

/// Parses a time that must have the form `2026-01-02T03:04:05.678901Z`.
#[track_caller]
pub fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("not a string: {value}"));
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{text}");
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
