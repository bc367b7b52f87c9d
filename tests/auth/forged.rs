//! Tokens with a wrong header or signature. Many of them are known attacks on token verifiers.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use super::bad_tokens::{Bad, claims};
use crate::support::TestApp;
use crate::support::token::{base64url, hs256, mint, sign};

pub fn forged_tokens(app: &TestApp) -> Vec<Bad> {
    let claims = claims(app, json!({}));
    let secret = app.secret();
    let other = "another secret that is long enough, but not the one";
    let header = |header| mint(&header, &claims, secret);
    let hmac = |name: &str, algorithm, key: &[u8]| {
        sign(
            &json!({ "alg": name }).to_string(),
            &claims.to_string(),
            algorithm,
            key,
        )
    };
    let unsigned = |algorithm: &str| {
        let header = json!({ "alg": algorithm }).to_string();
        format!("{}.{}.", base64url(header), base64url(claims.to_string()))
    };
    let mut tampered = claims.clone();
    tampered["sub"] = json!("eve");
    let good = hs256(&claims, secret);
    let signature = good.rsplit_once('.').unwrap().1;
    let tampered = format!(
        "{}.{}.{signature}",
        base64url(r#"{"alg":"HS256"}"#),
        base64url(tampered.to_string())
    );
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": base64url(other) });

    let mut table = vec![
        Bad::bearer("another secret", hs256(&claims, other)),
        Bad::bearer("an empty secret", hs256(&claims, "")),
        Bad::bearer(
            "the secret with a line break",
            hs256(&claims, &format!("{secret}\n")),
        ),
        Bad::bearer(
            "the secret in base64",
            hs256(&claims, &BASE64_STANDARD.encode(secret)),
        ),
        Bad::bearer("a payload changed after signing", tampered),
        Bad::bearer("none, unsigned", unsigned("none")),
        Bad::bearer("None, unsigned", unsigned("None")),
        Bad::bearer("NONE, unsigned", unsigned("NONE")),
        Bad::bearer("HS256, unsigned", unsigned("HS256")),
        Bad::bearer("none, signed", header(json!({ "alg": "none" }))),
        Bad::bearer("HS384", hmac("HS384", hmac::HMAC_SHA384, secret.as_bytes())),
        Bad::bearer("HS512", hmac("HS512", hmac::HMAC_SHA512, secret.as_bytes())),
        Bad::bearer(
            "HS384 that says HS256",
            hmac("HS256", hmac::HMAC_SHA384, secret.as_bytes()),
        ),
        Bad::bearer("an algorithm in lower case", header(json!({ "alg": "hs256" }))),
        Bad::bearer("an unsupported algorithm", header(json!({ "alg": "ES384" }))),
        Bad::bearer("an algorithm that is a number", header(json!({ "alg": 256 }))),
        Bad::bearer("no algorithm", header(json!({ "typ": "JWT" }))),
        Bad::bearer(
            "crit",
            header(json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 })),
        ),
        Bad::bearer(
            "crit of b64",
            header(json!({ "alg": "HS256", "crit": ["b64"], "b64": false })),
        ),
        Bad::bearer(
            "a header that is not JSON",
            sign("x", &claims.to_string(), hmac::HMAC_SHA256, secret.as_bytes()),
        ),
        Bad::bearer(
            "a header that is a list",
            sign("[]", &claims.to_string(), hmac::HMAC_SHA256, secret.as_bytes()),
        ),
        Bad::bearer(
            "a jwk that matches the signature",
            mint(&json!({ "alg": "HS256", "jwk": jwk }), &claims, other),
        ),
        Bad::bearer(
            "a jku",
            mint(
                &json!({ "alg": "HS256", "jku": "http://127.0.0.1:9/jwks" }),
                &claims,
                other,
            ),
        ),
        Bad::bearer(
            "an x5u",
            mint(
                &json!({ "alg": "HS256", "x5u": "http://127.0.0.1:9/x5u" }),
                &claims,
                other,
            ),
        ),
        Bad::bearer(
            "a kid that is a path",
            mint(&json!({ "alg": "HS256", "kid": "/dev/null" }), &claims, ""),
        ),
    ];
    // Even if the secret is valid base64, the service must use it without decoding it.
    if let Ok(decoded) = BASE64_STANDARD.decode(secret) {
        table.push(Bad::bearer(
            "the secret decoded from base64",
            sign(
                r#"{"alg":"HS256"}"#,
                &claims.to_string(),
                hmac::HMAC_SHA256,
                &decoded,
            ),
        ));
    }
    table
}
