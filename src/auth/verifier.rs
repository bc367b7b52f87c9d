//! Verifies tokens: their kind, their signature and their claims. Verified tokens are cached.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, VerifyingKey};
use super::claims::{Claims, IssuerAndAudience, excerpt};
use super::jwks::{Found, Jwks};
use super::{AuthenticatedUser, Refusal};
use crate::config::{Config, Secrets};

const MAX_CACHED_TOKENS: usize = 10_000;

pub struct Verifier {
    secrets: Vec<VerifyingKey>,
    jwks: Arc<Jwks>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    /// Verified tokens by their SHA-256 hashes, so that the tokens themselves are not kept in memory.
    cache: Cache<[u8; 32], Verified>,
}

#[derive(Clone, Debug)]
pub struct Verified {
    pub user: AuthenticatedUser,
    pub algorithm: &'static str,
    /// When the token expires, in seconds since 1970 and including the leeway.
    valid_until: f64,
    /// The generation of the key set that verified the token, or `None` if a shared secret verified it.
    generation: Option<u64>,
}

impl Verified {
    pub fn remaining_seconds(&self) -> u64 {
        (self.valid_until - unix_now()).max(0.0) as u64
    }
}

/// A token's parts, decoded but not verified.
struct Parts<'a> {
    signed: &'a str,
    signature: &'a str,
    header: Map<String, Value>,
    claims: Claims,
}

impl Verifier {
    pub fn new(config: &Config, secrets: &Secrets) -> Self {
        let secrets = secrets
            .iter()
            .map(|secret| VerifyingKey::from_secret(secret.as_bytes()));
        Self {
            secrets: secrets.collect(),
            jwks: Jwks::new(config.jwks_url.clone()),
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
            cache: Cache::new(MAX_CACHED_TOKENS),
        }
    }

    pub async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(verified) = self.cache.get(&fingerprint)
            && self.is_still_valid(&verified)
        {
            return Ok(verified);
        }
        let verified = self.verify_uncached(token).await?;
        self.cache.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    fn is_still_valid(&self, verified: &Verified) -> bool {
        let same_keys = || self.jwks.current_generation() == verified.generation;
        unix_now() < verified.valid_until && (verified.generation.is_none() || same_keys())
    }

    async fn verify_uncached(&self, token: &str) -> Result<Verified, Refusal> {
        let parts = Parts::parse(token)?;
        if parts.header.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        // The kind is checked before the signature, so that the log explains the token of an e-mail link instead of
        // reporting a wrong secret.
        parts.check_kind()?;
        let algorithm = parts.algorithm()?;
        // The algorithm determines the type of the key, so that a public key is never used as a shared secret.
        let (generation, rule) = match algorithm {
            Algorithm::Hs256 if !self.secrets.iter().any(|key| parts.is_signed_by(key, algorithm)) => {
                return Err(Refusal::WrongSecret);
            }
            Algorithm::Hs256 => (None, IssuerAndAudience::IfPresent),
            _ => (
                Some(self.verify_with_key_set(&parts, algorithm).await?),
                IssuerAndAudience::Required,
            ),
        };
        // The clock is read after the signature check, because the token may expire while the key set is fetched.
        let valid_until = parts.claims.valid_until(unix_now())?;
        parts
            .claims
            .check_issuer_and_audience(&self.issuers, &self.audiences, rule)?;
        Ok(Verified {
            user: parts.claims.user()?,
            algorithm: algorithm.into_str(),
            valid_until,
            generation,
        })
    }

    /// Checks the signature with the issuer's keys, and returns the generation of the key set. The header parameters
    /// `jku`, `jwk` and `x5u` are ignored, because a token must not choose the key that verifies it.
    async fn verify_with_key_set(&self, parts: &Parts<'_>, algorithm: Algorithm) -> Result<u64, Refusal> {
        let kid = parts.header.get("kid").and_then(Value::as_str);
        // The key id is untrusted, so the log contains only its beginning.
        let kid_excerpt = || kid.unwrap_or_default().chars().take(64).collect();
        match self.jwks.find(kid, algorithm).await {
            Found::Keys { keys, generation } => {
                let matches = keys
                    .iter()
                    .any(|key| parts.is_signed_by(&key.verifying, algorithm));
                matches
                    .then_some(generation)
                    .ok_or_else(|| Refusal::WrongKey(kid_excerpt()))
            }
            Found::Unknown => Err(Refusal::UnknownKey {
                kid: kid_excerpt(),
                algorithm: algorithm.into_str(),
                url: self.jwks.redacted_url.clone(),
            }),
            Found::NoKeySet { problem } => Err(Refusal::NoKeys {
                algorithm: algorithm.into_str(),
                url: self.jwks.redacted_url.clone(),
                problem,
            }),
        }
    }
}

impl<'a> Parts<'a> {
    fn parse(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Opaque)?;
        // Better Auth's session cookies, which have the format `<id>.<signature>`, fail here.
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Opaque)?;
        let header = decode_object(header).ok_or(Refusal::Opaque)?;
        let claims = decode_object(claims).ok_or(Refusal::Malformed("its claims are not a JSON object"))?;
        Ok(Self {
            signed,
            signature,
            header,
            claims: Claims(claims),
        })
    }

    /// Refuses other JWTs than Better Auth's API tokens, for example OAuth access tokens, whose `typ` is `at+jwt`.
    fn check_kind(&self) -> Result<(), Refusal> {
        match self.header.get("typ") {
            None => {}
            Some(Value::String(typ)) if typ.eq_ignore_ascii_case("JWT") => {}
            Some(other) => return Err(Refusal::TokenType(excerpt(other))),
        }
        self.claims.check_kind()
    }

    fn algorithm(&self) -> Result<Algorithm, Refusal> {
        let name = self.header.get("alg").and_then(Value::as_str).unwrap_or("none");
        name.parse()
            .map_err(|_| Refusal::Algorithm(name.chars().take(20).collect()))
    }

    fn is_signed_by(&self, key: &VerifyingKey, algorithm: Algorithm) -> bool {
        key.verifies(algorithm, self.signed.as_bytes(), self.signature)
    }
}

fn decode_object(part: &str) -> Option<Map<String, Value>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}

pub(super) fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
