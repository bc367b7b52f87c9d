//! From a token to a user: signature first, then what it says.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::claims::{Claims, Origin};
use super::{AuthenticatedUser, Refusal};
use crate::config::Config;

pub struct Verifier {
    secret: DecodingKey,
    issuer: String,
    audience: String,
    /// Tokens that were verified before, by their SHA-256: no token is kept in memory.
    seen: Cache<[u8; 32], Verified>,
}

#[derive(Clone, Debug)]
pub struct Verified {
    pub user: AuthenticatedUser,
    /// Seconds since 1970.
    valid_until: f64,
}

/// A token's parts, decoded and not yet believed.
struct Parts<'a> {
    signed: &'a str,
    signature: &'a str,
    header: Map<String, Value>,
    claims: Claims,
}

impl Verifier {
    pub fn new(config: &Config) -> Self {
        Self {
            secret: DecodingKey::from_secret(config.secret.as_bytes()),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            seen: Cache::new(10_000),
        }
    }

    pub async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let now = now();
        if let Some(verified) = self.seen.get(&fingerprint)
            && now < verified.valid_until
        {
            return Ok(verified);
        }
        let verified = self.verify_anew(token, now).await?;
        self.seen.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    async fn verify_anew(&self, token: &str, now: f64) -> Result<Verified, Refusal> {
        let parts = Parts::of(token)?;
        // `jku`, `jwk` and `x5u` are never looked at: a token does not choose the key that proves it.
        if parts.header.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        let algorithm = parts.header.get("alg").and_then(Value::as_str).unwrap_or("none");
        // The algorithm decides the class of the key; a public key is never taken for a shared secret.
        let rule = match algorithm {
            "HS256" => {
                if !parts.signed_by(&self.secret, Algorithm::HS256) {
                    return Err(Refusal::WrongSecret);
                }
                Origin::IfPresent
            }
            other => return Err(Refusal::Algorithm(other.chars().take(20).collect())),
        };
        let valid_until = parts.claims.valid_until(now)?;
        parts.claims.check_origin(&self.issuer, &self.audience, rule)?;
        Ok(Verified {
            user: parts.claims.user()?,
            valid_until,
        })
    }
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Opaque)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Opaque)?;
        // Session cookies are `<id>.<signature>`; what has three parts and no JSON in front is no JWT.
        let header = object(header).ok_or(Refusal::Opaque)?;
        let claims = object(claims).ok_or(Refusal::Malformed("its claims are not a JSON object"))?;
        Ok(Self {
            signed,
            signature,
            header,
            claims: Claims(claims),
        })
    }

    fn signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm).unwrap_or(false)
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}

pub(super) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
