//! An issuer's public keys, as its JWKS document lists them.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// An issuer has a handful; what lists more is not looked at further.
const MAX_KEYS: usize = 100;

#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
}

pub(super) struct Key {
    pub id: Option<String>,
    pub decoding: DecodingKey,
    /// What its type allows, less what the issuer rules out.
    algorithms: &'static [Algorithm],
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// A key of a kind that we do not know must not spoil the others.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let keys = document.keys.into_iter().take(MAX_KEYS);
        Ok(Self {
            keys: keys.filter_map(|key| Key::parse(key).map(Arc::new)).collect(),
        })
    }

    /// The keys that a token may be signed with. One that names none may be signed with any of its kind.
    pub fn suited(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<Key>> {
        let named = |key: &&Arc<Key>| id.is_none() || key.id.as_deref() == id;
        let keys = self.keys.iter().filter(named);
        keys.filter(|key| key.algorithms.contains(&algorithm))
            .cloned()
            .collect()
    }
}

impl Key {
    fn parse(key: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        Some(Self {
            algorithms: algorithms_of(&jwk)?,
            decoding: DecodingKey::from_jwk(&jwk).ok()?,
            id: jwk.common.key_id,
        })
    }
}

/// Older issuers do not say which algorithm a key is for; then its type does. A symmetric key has no
/// place in a public document and is never used.
fn algorithms_of(jwk: &Jwk) -> Option<&'static [Algorithm]> {
    let by_type: &'static [Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
        _ => return None,
    };
    let said: &'static [Algorithm] = match jwk.common.key_algorithm {
        None => return Some(by_type),
        Some(KeyAlgorithm::EdDSA) => &[Algorithm::EdDSA],
        Some(KeyAlgorithm::ES256) => &[Algorithm::ES256],
        Some(KeyAlgorithm::RS256) => &[Algorithm::RS256],
        Some(KeyAlgorithm::PS256) => &[Algorithm::PS256],
        Some(_) => return None,
    };
    by_type.contains(&said[0]).then_some(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "PxbT3TqqlQLaI-pY-ugCR0prvbsytURASzmIvPL0U9w";

    fn suited(keys: Value, id: Option<&str>, algorithm: Algorithm) -> usize {
        let document = json!({"keys": keys}).to_string();
        KeySet::parse(document.as_bytes())
            .unwrap()
            .suited(id, algorithm)
            .len()
    }

    #[test]
    fn a_key_without_alg_is_for_what_its_type_says() {
        let keys = json!([{"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a"}]);
        assert_eq!(suited(keys.clone(), Some("a"), Algorithm::EdDSA), 1);
        assert_eq!(suited(keys.clone(), None, Algorithm::EdDSA), 1);
        assert_eq!(suited(keys.clone(), Some("b"), Algorithm::EdDSA), 0);
        assert_eq!(suited(keys, Some("a"), Algorithm::ES256), 0);
    }

    #[test]
    fn keys_of_unknown_kinds_are_left_out_and_spoil_nothing() {
        let keys = json!([
            {"kty": "EC", "crv": "P-521", "alg": "ES512", "x": X, "y": X, "kid": "es512"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": X, "kid": "pq"},
            {"kty": "oct", "k": X, "alg": "HS256", "kid": "shared"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "enc", "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "lies", "alg": "RS256"},
            "nonsense",
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "good", "alg": "EdDSA"},
        ]);
        assert_eq!(suited(keys.clone(), None, Algorithm::EdDSA), 1);
        assert_eq!(suited(keys.clone(), None, Algorithm::RS256), 0);
        assert_eq!(suited(keys, None, Algorithm::HS256), 0);
    }
}
