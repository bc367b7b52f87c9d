//! Creates tokens without a JWT library, because a library would refuse to create invalid ones.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Creates a token whose header contains only `alg`, like those that many frontends create in a route of their own.
pub fn hs256(claims: &Value, secret: &str) -> String {
    mint(&json!({ "alg": "HS256" }), claims, secret)
}

/// Signs with HMAC-SHA-256, whatever algorithm the header names.
pub fn mint(header: &Value, claims: &Value, secret: &str) -> String {
    sign(
        &header.to_string(),
        &claims.to_string(),
        hmac::HMAC_SHA256,
        secret.as_bytes(),
    )
}

/// Signs any header and payload, which need not be JSON, with any HMAC algorithm and key.
pub fn sign(header: &str, payload: &str, algorithm: hmac::Algorithm, key: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", base64url(signature))
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the claims of a token without verifying it.
#[track_caller]
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token should have three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Returns a short hash of a text.
pub fn fingerprint(text: &str) -> String {
    base64url(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..9])
}
