//! A token to try the service with, signed as the frontend would.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::verifier::now;
use crate::config::Config;
use crate::domain::UserId;

pub fn mint(
    config: &Config,
    user: &UserId,
    email: Option<&str>,
    name: Option<&str>,
    ttl: Duration,
) -> Result<String, jsonwebtoken::errors::Error> {
    let issued = now() as u64;
    let mut claims = json!({
        "sub": user.as_str(),
        "iat": issued,
        "exp": issued.saturating_add(ttl.as_secs()),
        "iss": config.issuer,
        "aud": config.audience,
    });
    for (claim, value) in [("email", email), ("name", name)] {
        if let Some(value) = value {
            claims[claim] = value.into();
        }
    }
    let key = EncodingKey::from_secret(config.secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}
