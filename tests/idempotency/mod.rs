//! `Idempotency-Key`: a client that does not know whether its task was created can retry.

mod expiry;
mod keys;
mod lost_connections;
mod retries;

use serde_json::Value;

use crate::support::{Actor, Response};

fn post(user: &Actor, path: &str, key: &str, body: &Value) -> Response {
    post_bytes(user, path, key, body.to_string().as_bytes())
}

fn post_bytes(user: &Actor, path: &str, key: &str, body: &[u8]) -> Response {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    user.request("POST", path, &headers, body)
}

/// Checks that the status, the body and the headers listed below are identical. Other headers, such as the
/// request id, may differ.
#[track_caller]
fn assert_same(again: &Response, first: &Response) {
    assert_eq!(again.status, first.status, "{again}");
    assert_eq!(again.text(), first.text());
    for name in [
        "location",
        "etag",
        "content-type",
        "content-length",
        "cache-control",
    ] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
}

#[track_caller]
fn number_of_tasks(user: &Actor) -> usize {
    user.titles("/api/tasks").len()
}
