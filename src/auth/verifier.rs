//! Verifies a token: first its signature, then its claims.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, VerifyingKey};
use super::claims::{Claims, Origin, shown};
use super::jwks::{Found, Jwks};
use super::{AuthenticatedUser, Refusal};
use crate::config::{Config, Secrets};

pub struct Verifier {
    secrets: Vec<VerifyingKey>,
    jwks: Arc<Jwks>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    /// A cache of verified tokens. The key is the token's SHA-256, so that no token stays in memory.
    seen: Cache<[u8; 32], Verified>,
}

#[derive(Clone, Debug)]
pub struct Verified {
    pub user: AuthenticatedUser,
    pub algorithm: &'static str,
    /// In seconds since 1970.
    valid_until: f64,
    /// The generation of the key set that verified the token; `None` for a shared secret.
    generation: Option<u64>,
}

impl Verified {
    pub fn remaining_seconds(&self) -> u64 {
        (self.valid_until - now()).max(0.0) as u64
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
            .map(|secret| VerifyingKey::secret(secret.as_bytes()));
        Self {
            secrets: secrets.collect(),
            jwks: Jwks::new(config.jwks_url.clone()),
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
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
        // `jku`, `jwk` and `x5u` are ignored, because a token must not choose the key that verifies it.
        if parts.header.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        // This comes before the signature, so that the log explains the token of an e-mail link instead of reporting a
        // wrong secret.
        parts.check_kind()?;
        let algorithm = parts.algorithm()?;
        // The algorithm decides the type of the key, so that a public key is never used as a shared secret.
        let (generation, rule) = match algorithm {
            Algorithm::Hs256 if !self.secrets.iter().any(|key| parts.signed_by(key, algorithm)) => {
                return Err(Refusal::WrongSecret);
            }
            Algorithm::Hs256 => (None, Origin::IfPresent),
            _ => (Some(self.check_key(&parts, algorithm).await?), Origin::Required),
        };
        // The clock is read only now, because the token may have expired while the key was fetched.
        let valid_until = parts.claims.valid_until(now())?;
        parts.claims.check_origin(&self.issuers, &self.audiences, rule)?;
        Ok(Verified {
            user: parts.claims.user()?,
            algorithm: algorithm.name(),
            valid_until,
            generation,
        })
    }

    /// Checks the signature, and returns the generation of the key set that verified it.
    async fn check_key(&self, parts: &Parts<'_>, algorithm: Algorithm) -> Result<u64, Refusal> {
        let kid = parts.header.get("kid").and_then(Value::as_str);
        // Limits the length of an untrusted value in the log.
        let shown = || kid.unwrap_or_default().chars().take(64).collect();
        match self.jwks.find(kid, algorithm).await {
            Found::Keys { keys, generation } => {
                let matches = keys.iter().any(|key| parts.signed_by(&key.verifying, algorithm));
                matches
                    .then_some(generation)
                    .ok_or_else(|| Refusal::WrongKey(shown()))
            }
            Found::Unknown => Err(Refusal::UnknownKey {
                kid: shown(),
                algorithm: algorithm.name(),
                url: self.jwks.shown_url.clone(),
            }),
            Found::Nothing { problem } => Err(Refusal::NoKeys {
                algorithm: algorithm.name(),
                url: self.jwks.shown_url.clone(),
                problem,
            }),
        }
    }
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Opaque)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Opaque)?;
        // Session cookies have the format `<id>.<signature>`. A token without a JSON header is not a JWT either.
        let header = object(header).ok_or(Refusal::Opaque)?;
        let claims = object(claims).ok_or(Refusal::Malformed("its claims are not a JSON object"))?;
        Ok(Self {
            signed,
            signature,
            header,
            claims: Claims(claims),
        })
    }

    /// Refuses tokens that issuers sign for other purposes than an API.
    fn check_kind(&self) -> Result<(), Refusal> {
        match self.header.get("typ") {
            None => {}
            Some(Value::String(typ)) if typ.eq_ignore_ascii_case("JWT") => {}
            Some(other) => return Err(Refusal::TokenType(shown(other))),
        }
        self.claims.check_kind()
    }

    fn algorithm(&self) -> Result<Algorithm, Refusal> {
        let name = self.header.get("alg").and_then(Value::as_str).unwrap_or("none");
        Algorithm::named(name).ok_or_else(|| Refusal::Algorithm(name.chars().take(20).collect()))
    }

    fn signed_by(&self, key: &VerifyingKey, algorithm: Algorithm) -> bool {
        key.verifies(algorithm, self.signed.as_bytes(), self.signature)
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
