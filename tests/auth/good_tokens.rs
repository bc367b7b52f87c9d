//! Tokens that must be accepted, each with the user id that it stands for.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::deployment::frontend;
use crate::support::token::{hs256, mint, now, sign};

pub struct Good {
    pub why: &'static str,
    pub authorization: String,
    pub user: String,
}

/// Returns a time of issue, an expiry and the claims in `identity`, which name the user.
fn claims(identity: Value) -> Value {
    let mut claims = json!({ "iat": now(), "exp": now() + 900 });
    for (name, value) in identity.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

pub fn good_tokens(app: &TestApp) -> Vec<Good> {
    let secret = app.secret();
    let origin = frontend();
    let id = |name: &str| app.unique(name);
    let number: u32 = 1_000_000_000 + (crate::support::random::number() as u32 >> 3);
    let longest = format!("{}{}", id("long"), "l".repeat(255));
    let longest: String = longest.chars().take(255).collect();
    let emoji: String = format!("{}{}", id("e"), "😀".repeat(255))
        .chars()
        .take(255)
        .collect();
    let a = id("a");
    let plain = json!({ "sub": a });

    let by_claims: Vec<(&'static str, Value, String)> = vec![
        // This token comes first, because later it would be valid even without a tolerance.
        (
            "an issuer whose clock is four seconds ahead",
            json!({ "sub": a, "iat": now() + 4, "nbf": now() + 4, "exp": now() + 904 }),
            a.clone(),
        ),
        ("sub", claims(plain.clone()), a.clone()),
        ("only id", claims(json!({ "id": id("b") })), id("b")),
        (
            "id beside a sub that is null",
            claims(json!({ "sub": null, "id": id("b") })),
            id("b"),
        ),
        ("only user_id", claims(json!({ "user_id": id("c") })), id("c")),
        (
            "only userId, with the right issuer",
            claims(json!({ "userId": id("d"), "iss": origin })),
            id("d"),
        ),
        (
            "only userId, with the right audience",
            claims(json!({ "userId": id("d"), "aud": [origin] })),
            id("d"),
        ),
        (
            "user.id beside a userId that must be ignored",
            claims(json!({ "userId": "4", "user": { "id": id("l") } })),
            id("l"),
        ),
        (
            "only user.id",
            claims(json!({ "user": { "id": id("e") } })),
            id("e"),
        ),
        (
            "only session.userId",
            claims(json!({ "session": { "userId": id("f") } })),
            id("f"),
        ),
        (
            "sub before all others",
            claims(json!({
                "session": { "userId": "6" }, "user": { "id": "5" }, "userId": "4",
                "user_id": "3", "id": "2", "sub": a,
            })),
            a.clone(),
        ),
        (
            "id before user_id",
            claims(json!({ "userId": "4", "user_id": "3", "id": id("g") })),
            id("g"),
        ),
        (
            "user_id before userId",
            claims(json!({ "user": { "id": "5" }, "userId": "4", "user_id": id("h") })),
            id("h"),
        ),
        (
            "userId before user.id",
            claims(json!({ "user": { "id": "5" }, "userId": id("i"), "iss": origin })),
            id("i"),
        ),
        (
            "user.id before session.userId",
            claims(json!({ "session": { "userId": "6" }, "user": { "id": id("j") } })),
            id("j"),
        ),
        (
            "a number as sub",
            claims(json!({ "sub": number })),
            number.to_string(),
        ),
        (
            "a number as id",
            claims(json!({ "id": number })),
            number.to_string(),
        ),
        (
            "an id of 255 characters",
            claims(json!({ "sub": longest })),
            longest,
        ),
        (
            "an id of 255 characters of 4 bytes",
            claims(json!({ "sub": emoji })),
            emoji,
        ),
        (
            "the payload of a custom route",
            claims(json!({ "sub": a, "email": "a@example.com", "name": "A" })),
            a.clone(),
        ),
        (
            "the payload of a custom signer",
            claims(json!({
                "sub": a, "id": a, "email": "a@example.com", "name": "A", "emailVerified": false,
                "image": null, "createdAt": "2026-11-21T08:56:33.473Z",
                "iss": origin, "aud": origin,
            })),
            a.clone(),
        ),
        (
            "the session cookie cache",
            claims(json!({
                "session": {
                    "expiresAt": "2027-01-01T00:00:00.000Z", "token": "t", "userId": id("k"),
                    "id": "s",
                },
                "user": { "name": "K", "email": "k@example.com", "id": id("k") },
                "updatedAt": 1_795_251_395_561_i64,
                "version": "1",
            })),
            id("k"),
        ),
        (
            "an audience in a list",
            claims(json!({ "sub": a, "aud": ["other", origin] })),
            a.clone(),
        ),
        (
            "the right issuer",
            claims(json!({ "sub": a, "iss": origin })),
            a.clone(),
        ),
        ("no iat", json!({ "sub": a, "exp": now() + 900 }), a.clone()),
        (
            "nbf in the past",
            claims(json!({ "sub": a, "nbf": now() - 60 })),
            a.clone(),
        ),
        (
            "an expiry with a fraction",
            json!({ "sub": a, "exp": now() as f64 + 900.5 }),
            a.clone(),
        ),
        (
            "an expiry in a hundred years",
            json!({ "sub": a, "exp": now() + 3_153_600_000 }),
            a.clone(),
        ),
        (
            "an unknown claim",
            claims(json!({ "sub": a, "scope": ["x"] })),
            a.clone(),
        ),
    ];
    let bearer = |why, claims: &Value, user: String| Good {
        why,
        authorization: format!("Bearer {}", hs256(claims, secret)),
        user,
    };
    let mut table: Vec<Good> = by_claims
        .into_iter()
        .map(|(why, claims, user)| bearer(why, &claims, user))
        .collect();

    let good = claims(plain);
    let typed = mint(&json!({ "alg": "HS256", "typ": "JWT" }), &good, secret);
    let typed_oddly = mint(&json!({ "alg": "HS256", "typ": "jWt" }), &good, secret);
    let with_kid = mint(&json!({ "alg": "HS256", "kid": "unknown" }), &good, secret);
    let spaced = sign(
        "{ \"alg\" : \"HS256\" }",
        &format!(" {good} "),
        aws_lc_rs::hmac::HMAC_SHA256,
        secret.as_bytes(),
    );
    for (why, authorization) in [
        ("the typ JWT", format!("Bearer {typed}")),
        ("the typ in mixed case", format!("Bearer {typed_oddly}")),
        ("a kid, which HS256 does not use", format!("Bearer {with_kid}")),
        ("white space in the JSON", format!("Bearer {spaced}")),
        ("a scheme in lower case", format!("bearer {typed}")),
        ("a scheme in upper case", format!("BEARER {typed}")),
    ] {
        table.push(Good {
            why,
            authorization,
            user: a.clone(),
        });
    }
    table
}
