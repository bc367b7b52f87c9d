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

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn everything_that_may_be_a_secret_is_hidden() {
        for (url, shown) in [
            (
                "https://todo.example/api/auth/jwks",
                "https://todo.example/api/auth/jwks",
            ),
            (
                "https://k.example:8443/.well-known/jwks.json",
                "https://k.example:8443/.well-known/jwks.json",
            ),
            (
                "https://hunter1:hunter2@k.example/jwks",
                "https://***@k.example/jwks",
            ),
            ("https://:hunter2@k.example/jwks", "https://***@k.example/jwks"),
            (
                "https://k.example/hunter2/jwks?key=hunter3#hunter4",
                "https://k.example/***/jwks?***#***",
            ),
            ("hunter2", "(not a URL)"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
