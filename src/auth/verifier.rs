//! From a token to a user: signature first, then what it says.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::claims::{Claims, Origin};
use super::jwks::{Found, Jwks};
use super::{AuthenticatedUser, Refusal};
use crate::config::Config;

pub struct Verifier {
    secret: DecodingKey,
    jwks: Arc<Jwks>,
    issuer: String,
    audience: String,
    /// Tokens that were verified before, by their SHA-256: no token is kept in memory.
    seen: Cache<[u8; 32], Verified>,
}

#[derive(Clone, Debug)]
pub struct Verified {
    pub user: AuthenticatedUser,
    pub algorithm: &'static str,
    /// Seconds since 1970.
    valid_until: f64,
    /// Of the key set that it was verified with; none for the shared secret.
    generation: Option<u64>,
}

impl Verified {
    pub fn remaining_seconds(&self) -> u64 {
        (self.valid_until - now()).max(0.0) as u64
    }
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
            jwks: Jwks::new(config.jwks_url.clone()),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            seen: Cache::new(10_000),
        }
    }

    pub async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(verified) = self.seen.get(&fingerprint)
            && self.still_holds(&verified)
        {
            return Ok(verified);
        }
        let verified = self.verify_anew(token).await?;
        self.seen.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    fn still_holds(&self, verified: &Verified) -> bool {
        let same_keys = || self.jwks.current_generation() == verified.generation;
        now() < verified.valid_until && (verified.generation.is_none() || same_keys())
    }

    async fn verify_anew(&self, token: &str) -> Result<Verified, Refusal> {
        let parts = Parts::of(token)?;
        // `jku`, `jwk` and `x5u` are never looked at: a token does not choose the key that proves it.
        if parts.header.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        let algorithm = parts.algorithm()?;
        // The algorithm decides the class of the key; a public key is never taken for a shared secret.
        let (generation, rule) = match algorithm.1 {
            Algorithm::HS256 if !parts.signed_by(&self.secret, Algorithm::HS256) => {
                return Err(Refusal::WrongSecret);
            }
            Algorithm::HS256 => (None, Origin::IfPresent),
            _ => (Some(self.check_key(&parts, algorithm).await?), Origin::Required),
        };
        // Only now: the key may have been waited for.
        let valid_until = parts.claims.valid_until(now())?;
        parts.claims.check_origin(&self.issuer, &self.audience, rule)?;
        Ok(Verified {
            user: parts.claims.user()?,
            algorithm: algorithm.0,
            valid_until,
            generation,
        })
    }

    /// The generation of the key set with which the signature was found to be right.
    async fn check_key(&self, parts: &Parts<'_>, algorithm: Named) -> Result<u64, Refusal> {
        let (name, algorithm) = algorithm;
        let kid = parts.header.get("kid").and_then(Value::as_str);
        // What is printed of a stranger's token is bounded.
        let shown = || kid.unwrap_or_default().chars().take(64).collect();
        match self.jwks.find(kid, algorithm).await {
            Found::Keys { keys, generation } => {
                let matches = keys.iter().any(|key| parts.signed_by(&key.decoding, algorithm));
                matches
                    .then_some(generation)
                    .ok_or_else(|| Refusal::WrongKey(shown()))
            }
            Found::Unknown => Err(Refusal::UnknownKey {
                kid: shown(),
                algorithm: name,
                url: self.jwks.shown_url.clone(),
            }),
            Found::Nothing { problem } => Err(Refusal::NoKeys {
                algorithm: name,
                url: self.jwks.shown_url.clone(),
                problem,
            }),
        }
    }
}

type Named = (&'static str, Algorithm);

/// `none` is not among them, and neither is any that we cannot bind to one kind of key.
const ACCEPTED: [Named; 5] = [
    ("HS256", Algorithm::HS256),
    ("EdDSA", Algorithm::EdDSA),
    ("ES256", Algorithm::ES256),
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
];

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

    fn algorithm(&self) -> Result<Named, Refusal> {
        let name = self.header.get("alg").and_then(Value::as_str).unwrap_or("none");
        let accepted = ACCEPTED.into_iter().find(|(accepted, _)| *accepted == name);
        accepted.ok_or_else(|| Refusal::Algorithm(name.chars().take(20).collect()))
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
