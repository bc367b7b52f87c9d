//! ETags, `If-Match` and `If-None-Match` (RFC 9110, section 13).

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::error::ApiError;
use super::extractor;
use crate::store::Condition;

/// The ETag of a task, which contains the task's version. A timestamp would not change between two updates in the same
/// microsecond.
pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// An ETag that is a digest of the concatenated parts.
pub fn digest_tag(parts: &[&[u8]]) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in parts {
        digest.update(part);
    }
    format!(
        "\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(&digest.finish().as_ref()[..16])
    )
}

/// The version of a task that was just created.
pub const FIRST_VERSION: i64 = 1;

extractor!(Condition, condition);

/// Parses `If-Match`. The store checks the condition in the same statement as the write.
#[expect(clippy::unnecessary_wraps, reason = "`extractor!` needs a result")]
fn condition(request: &HttpRequest) -> Result<Condition, ApiError> {
    let headers = request.headers();
    // `*` requires that the task exists, which every write checks anyway. `*` is only valid on its own; in a list, it
    // matches nothing.
    if !headers.contains_key(IF_MATCH) || tags(headers, IF_MATCH).eq(["*"]) {
        return Ok(Condition::None);
    }
    // Weak tags never match, and neither do tags in a format that `tag` does not write, such as `"03"`.
    let versions = tags(headers, IF_MATCH).filter_map(|text| {
        let version = text.trim_matches('"').parse().ok()?;
        (tag(version) == text).then_some(version)
    });
    Ok(Condition::VersionIn(versions.collect()))
}

/// Whether `If-None-Match` contains the tag of the response, so that the client needs only a 304. Weak tags match as
/// well, and so does `*` on its own.
pub fn is_not_modified(headers: &HeaderMap, tag: &str) -> bool {
    let is_known = |known: &str| known.trim_start_matches("W/") == tag;
    tags(headers, IF_NONE_MATCH).eq(["*"]) || tags(headers, IF_NONE_MATCH).any(is_known)
}

/// The tags in all headers of this name. The values are simply split at commas. A quoted tag of another server may
/// contain a comma, but its parts equal none of the service's tags.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
