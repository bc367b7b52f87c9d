//! Removes secrets from configured URLs, so that they can be logged.

use url::Url;

/// Segments in the path of a frontend's or key set's URL that are not secret.
const KNOWN_SEGMENTS: [&str; 6] = ["", "api", "auth", "jwks", "jwks.json", ".well-known"];

/// Replaces the user, password, query, fragment and all unknown path segments by `***`, because each of them may be a
/// secret, such as the access key of a gateway.
pub fn without_secrets(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return "(not a URL)".into();
    };
    if !url.username().is_empty() || url.password().is_some() {
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    let segments = url
        .path()
        .split('/')
        .map(|segment| match KNOWN_SEGMENTS.contains(&segment) {
            true => segment,
            false => "***",
        });
    let path = segments.collect::<Vec<_>>().join("/");
    url.set_path(&path);
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    if url.fragment().is_some() {
        url.set_fragment(Some("***"));
    }
    url.into()
}
