//! `ETag`, and what clients ask for with one: not again what they have, and no write over another's.

mod if_match;
mod if_none_match;
mod races;
mod tags;

use crate::support::{Actor, Response};

/// A strong tag, as RFC 9110 writes it.
#[track_caller]
fn tag(answer: &Response) -> String {
    let tag = answer
        .header("etag")
        .unwrap_or_else(|| panic!("no ETag: {answer}"));
    let inside = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    assert!(
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains(['"', ' '])),
        "no strong tag: {answer}"
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
