//! Signs HS256 tokens with which an operator can try out the service.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::verifier::unix_now;
use crate::config::{Config, Secrets};
use crate::domain::UserId;

pub fn mint(
    config: &Config,
    secrets: &Secrets,
    user: &UserId,
    email: Option<&str>,
    name: Option<&str>,
    ttl: Duration,
) -> Result<String, jsonwebtoken::errors::Error> {
    let issued_at = unix_now() as u64;
    let mut claims = json!({
        "sub": user.as_str(),
        "iat": issued_at,
        "exp": issued_at.saturating_add(ttl.as_secs()),
        "iss": config.issuers.first(),
        "aud": config.audiences.first(),
    });
    for (claim, value) in [("email", email), ("name", name)] {
        if let Some(value) = value {
            claims[claim] = value.into();
        }
    }
    let key = EncodingKey::from_secret(secrets.signing().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}
