//! `ETag` and conditional requests, with which clients avoid repeated downloads and lost updates.

mod if_match;
mod if_none_match;
mod races;
mod tags;

use crate::support::{Actor, Response};

/// Returns the response's `ETag`, which must be a strong tag as defined in RFC 9110.
#[track_caller]
fn tag(answer: &Response) -> String {
    let tag = answer
        .header("etag")
        .unwrap_or_else(|| panic!("ETag is missing: {answer}"));
    let inside = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    assert!(
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains(['"', ' '])),
        "ETag is not a strong tag: {answer}"
    );
    tag.to_owned()
}

#[track_caller]
fn tag_of(user: &Actor, path: &str) -> String {
    tag(&user.get(path).expect(200))
}

fn get_unless(user: &Actor, path: &str, tags: &str) -> Response {
    user.request("GET", path, &[("if-none-match", tags)], b"")
}

fn write_if(user: &Actor, method: &str, path: &str, tags: &str, body: &str) -> Response {
    let mut headers = vec![("if-match", tags)];
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    user.request(method, path, &headers, body.as_bytes())
}
