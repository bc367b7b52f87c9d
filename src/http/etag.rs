//! ETags, and the preconditions that are made of them (RFC 9110, section 13).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};

use super::error::ApiError;
use crate::store::Condition;

/// A task's tag is its version: it grows with every change, however fast they follow each other.
pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version of a task that was just created.
pub const FIRST_VERSION: i64 = 1;

/// `If-Match`, for the store to decide together with the write.
impl FromRequest for Condition {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(condition(request.headers())))
    }
}

fn condition(headers: &HeaderMap) -> Condition {
    if !headers.contains_key(IF_MATCH) || tags(headers, IF_MATCH).any(|tag| tag == "*") {
        // `*` asks that the task exists, and the write finds that out by itself.
        return Condition::None;
    }
    // A weak tag never matches here, and neither does one that we did not make.
    // Tags are compared as they are written, so that `"03"` is none of ours either.
    let versions = tags(headers, IF_MATCH).filter_map(|text| {
        let version = text.trim_matches('"').parse().ok()?;
        (tag(version) == text).then_some(version)
    });
    Condition::VersionIn(versions.collect())
}

/// `If-None-Match`: the client has what it is about to get. Weak and strong tags count alike.
pub fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers, IF_NONE_MATCH).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// The tags of all headers of a name. Ours have no comma in them, so a list can be taken apart at these.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn if_match_takes_strong_tags_of_ours_alone() {
        let read = |value| condition(&headers(IF_MATCH, value));
        assert_eq!(condition(&HeaderMap::new()), Condition::None);
        assert_eq!(read("*"), Condition::None);
        assert_eq!(read("\"3\""), Condition::VersionIn(vec![3]));
        assert_eq!(read("\"3\" , \"5\""), Condition::VersionIn(vec![3, 5]));
        assert_eq!(read("W/\"3\""), Condition::VersionIn(vec![]));
        assert_eq!(read("3"), Condition::VersionIn(vec![]));
        for not_ours in ["\"x\"", "\"03\"", "\"+3\"", "\"\"3\"\""] {
            assert_eq!(read(not_ours), Condition::VersionIn(vec![]), "{not_ours}");
        }
    }

    #[test]
    fn if_none_match_takes_weak_tags_too() {
        let read = |value| unchanged(&headers(IF_NONE_MATCH, value), "\"3\"");
        assert!(read("\"3\"") && read("W/\"3\"") && read("*") && read("\"1\", \"3\""));
        assert!(!read("\"4\"") && !read("3"));
        assert!(!unchanged(&HeaderMap::new(), "\"3\""));
    }
}
