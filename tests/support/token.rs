//! Mints tokens by hand: a library would refuse to make the bad ones.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A token of the kind that a frontend's hand-written route signs.
pub fn hs256(claims: &Value, secret: &str) -> String {
    mint(&json!({ "alg": "HS256" }), claims, secret)
}

/// HS256 by its signature, whatever the header says.
pub fn mint(header: &Value, claims: &Value, secret: &str) -> String {
    sign(
        &header.to_string(),
        &claims.to_string(),
        hmac::HMAC_SHA256,
        secret.as_bytes(),
    )
}

/// Any header, any payload (no JSON even), any HMAC, any key.
pub fn sign(header: &str, payload: &str, algorithm: hmac::Algorithm, key: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", base64url(signature))
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a token that somebody printed for us, unverified.
#[track_caller]
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token has three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A short name for any text.
pub fn fingerprint(text: &str) -> String {
    base64url(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..9])
}
