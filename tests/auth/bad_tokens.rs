//! Tokens and `Authorization` headers that must be refused. Most of them are valid except for one defect.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::forged::forged_tokens;
use crate::support::TestApp;
use crate::support::deployment::frontend;
use crate::support::token::{hs256, mint, now, sign};

pub struct Bad {
    pub why: &'static str,
    /// The values of zero or more `Authorization` headers.
    pub authorization: Vec<String>,
}

impl Bad {
    pub fn bearer(why: &'static str, token: impl AsRef<str>) -> Self {
        Self {
            why,
            authorization: vec![format!("Bearer {}", token.as_ref())],
        }
    }
}

/// Returns the claims of a valid token with these changes. `null` removes a claim.
pub fn claims(app: &TestApp, changes: Value) -> Value {
    let mut claims = json!({
        "sub": app.unique("ada"),
        "email": "ada@example.com",
        "iat": now(),
        "exp": now() + 900,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            _ => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

pub fn bad_tokens(app: &TestApp) -> Vec<Bad> {
    let mut table = without_a_token(app);
    table.extend(forged_tokens(app));
    for (why, changes) in [
        ("no expiry", json!({ "exp": null })),
        ("an expiry as text", json!({ "exp": (now() + 900).to_string() })),
        ("an expiry as a list", json!({ "exp": [now() + 900] })),
        ("an expiry that is true", json!({ "exp": true })),
        ("an expiry before the epoch", json!({ "exp": -1 })),
        ("an expiry of zero", json!({ "exp": 0 })),
        ("expired for 10 seconds", json!({ "exp": now() - 10 })),
        ("expired for an hour", json!({ "exp": now() - 3600 })),
        ("not valid for another hour", json!({ "nbf": now() + 3600 })),
        (
            "issued tomorrow",
            json!({ "iat": now() + 86_400, "exp": now() + 90_000 }),
        ),
        ("another issuer", json!({ "iss": "http://evil.example" })),
        (
            "an issuer that begins with the right one",
            json!({ "iss": format!("{}.evil.example", frontend()) }),
        ),
        ("another audience", json!({ "aud": "http://evil.example" })),
        (
            "the cookie cache's audience",
            json!({ "aud": "better-auth:session-cache" }),
        ),
        ("a list of other audiences", json!({ "aud": ["a", "b"] })),
        ("an empty list of audiences", json!({ "aud": [] })),
        ("an audience that is a number", json!({ "aud": 5 })),
        ("no user id", json!({ "sub": null })),
        (
            "an email-verification link",
            json!({ "sub": null, "email": "eve@example.com" }),
        ),
        (
            "an e-mail link with a user id, as of Better Auth 1.7.18",
            json!({ "sub": null, "email": "eve@example.com", "userId": "eve" }),
        ),
        (
            "a link sent to an unverified address",
            json!({
                "sub": null, "email": "eve@example.com", "updateTo": "mallory@example.com",
                "requestType": "change-email-verification", "userId": "eve",
            }),
        ),
        ("an updateTo", json!({ "updateTo": "mallory@example.com" })),
        (
            "a requestType",
            json!({ "requestType": "change-email-confirmation" }),
        ),
        (
            "an updateTo beside the right issuer",
            json!({ "iss": frontend(), "aud": frontend(), "updateTo": "mallory@example.com" }),
        ),
        (
            "a token bound to its holder's key",
            json!({ "cnf": { "jkt": "thumbprint" } }),
        ),
        (
            "a number as the only user id, in userId",
            json!({ "sub": null, "userId": 7 }),
        ),
        ("an empty issuer", json!({ "iss": "" })),
        (
            "an empty issuer beside a userId",
            json!({ "sub": null, "userId": "eve", "iss": "" }),
        ),
        (
            "a userId beside another audience",
            json!({ "sub": null, "userId": "eve", "aud": "http://evil.example" }),
        ),
        ("an empty user id", json!({ "sub": "" })),
        ("a blank user id", json!({ "sub": " \t " })),
        (
            "a blank user id beside another",
            json!({ "sub": " ", "id": "eve" }),
        ),
        ("a user id of 256 characters", json!({ "sub": "a".repeat(256) })),
        ("a user id with a NUL", json!({ "sub": "a\0b" })),
        ("a user id that is true", json!({ "sub": true })),
        ("a user id that is a list", json!({ "sub": ["ada"] })),
        ("a user id that is an object", json!({ "sub": { "id": "ada" } })),
        ("a user that is a string", json!({ "sub": null, "user": "ada" })),
        (
            "a session without its user",
            json!({ "sub": null, "session": { "id": "s" } }),
        ),
        ("a blank user.id", json!({ "sub": null, "user": { "id": "  " } })),
    ] {
        table.push(Bad::bearer(why, hs256(&claims(app, changes), app.secret())));
    }
    table.extend(for_other_purposes(app));
    table
}

/// Returns tokens that are valid except for a claim that is null, or a `typ` other than `JWT`.
fn for_other_purposes(app: &TestApp) -> Vec<Bad> {
    let mut table = Vec::new();
    for claim in ["updateTo", "requestType", "cnf", "iss", "aud"] {
        let mut claims = claims(app, json!({}));
        claims[claim] = Value::Null;
        table.push(Bad::bearer("a claim that is null", hs256(&claims, app.secret())));
    }
    for typ in [
        json!("at+jwt"),
        json!("better-auth.session-cache+jwt"),
        json!("dpop+jwt"),
        json!("JWT "),
        json!("application/jwt"),
        json!(""),
        json!(null),
        json!(["JWT"]),
        json!(5),
    ] {
        let header = json!({ "alg": "HS256", "typ": typ });
        let token = mint(&header, &claims(app, json!({})), app.secret());
        table.push(Bad::bearer("a typ that is not JWT", token));
    }
    table
}

/// Returns requests whose `Authorization` header is missing, repeated or malformed, or contains a malformed token.
fn without_a_token(app: &TestApp) -> Vec<Bad> {
    let good = hs256(&claims(app, json!({})), app.secret());
    let (body, signature) = good.rsplit_once('.').unwrap();
    let header = |why, value: String| Bad {
        why,
        authorization: vec![value],
    };
    vec![
        Bad {
            why: "no header",
            authorization: vec![],
        },
        header("an empty header", String::new()),
        header("only the scheme", "Bearer".to_owned()),
        header("the scheme and a space", "Bearer ".to_owned()),
        header("a token without a scheme", good.clone()),
        header(
            "another scheme",
            format!("Basic {}", BASE64_STANDARD.encode("ada:secret")),
        ),
        header("a good token under another scheme", format!("Token {good}")),
        header("the scheme twice", format!("Bearer Bearer {good}")),
        header("a token in quotes", format!("Bearer \"{good}\"")),
        header(
            "two tokens in one header",
            format!("Bearer {good}, Bearer {good}"),
        ),
        header("a token and a word", format!("Bearer {good} x")),
        Bad {
            why: "two headers, the second one bad",
            authorization: vec![format!("Bearer {good}"), "Bearer x".to_owned()],
        },
        Bad {
            why: "two headers, the first one bad",
            authorization: vec!["Bearer x".to_owned(), format!("Bearer {good}")],
        },
        Bad::bearer("garbage", "garbage"),
        Bad::bearer("dots", ".."),
        Bad::bearer("an opaque session token", "bYw0Ehm3b8GZIbkJ3mMC5DL4QgCNuSlh"),
        Bad::bearer(
            "a signed session cookie",
            "bYw0Ehm3b8GZIbkJ3mMC5DL4QgCNuSlh.7fE1lPZbVbO9E5yCkB3xJc1l6o1GqPy0N0Qe5k1w2uM%3D",
        ),
        Bad::bearer("two parts", body),
        Bad::bearer("an empty signature", format!("{body}.")),
        Bad::bearer("four parts", format!("{good}.{signature}")),
        Bad::bearer("a part in front", format!(".{good}")),
        Bad::bearer("5,000 arbitrary characters", "a".repeat(5_000)),
        Bad::bearer("a truncated token", &good[..good.len() - 4]),
        Bad::bearer("a payload that is not JSON", sign_text(app, "sub=ada")),
        Bad::bearer("a payload that is a list", sign_text(app, "[\"ada\"]")),
        Bad::bearer("a payload that is a string", sign_text(app, "\"ada\"")),
        Bad::bearer("an empty payload", sign_text(app, "")),
        Bad::bearer("nested 2,000 deep", sign_text(app, &"[".repeat(2_000))),
    ]
}

/// Signs any payload with the right secret.
fn sign_text(app: &TestApp, payload: &str) -> String {
    sign(
        r#"{"alg":"HS256"}"#,
        payload,
        hmac::HMAC_SHA256,
        app.secret().as_bytes(),
    )
}

/// Returns tokens that name an algorithm with a public key, although they are signed with the secret. They are refused
/// with 401, or with 503 if the issuer's public keys are not available.
pub fn tokens_of_the_other_key_class(app: &TestApp) -> Vec<Bad> {
    let algorithms = ["RS256", "PS256", "ES256", "ES512", "EdDSA", "Ed25519"];
    let bearer = |algorithm| {
        let header = json!({ "alg": algorithm, "kid": "k" });
        Bad::bearer(algorithm, mint(&header, &claims(app, json!({})), app.secret()))
    };
    algorithms.map(bearer).into()
}
