//! An issuer's public keys, parsed from its JWKS document.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, VerifyingKey};

/// The maximum number of keys that are read from a document. Further keys are ignored.
const MAX_KEYS: usize = 100;

#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
}

pub(super) struct Key {
    pub id: Option<String>,
    pub verifying: VerifyingKey,
    /// All algorithms for this type of key, or only the one that `alg` names.
    algorithms: &'static [Algorithm],
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses the document. Unsupported keys are ignored, so that the others can be used.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let keys = document.keys.into_iter().take(MAX_KEYS);
        Ok(Self {
            keys: keys.filter_map(|key| Key::parse(key).map(Arc::new)).collect(),
        })
    }

    /// Returns the keys that may have signed a token. If the token has no key id, these are all keys for its algorithm.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<Key>> {
        let has_id = |key: &&Arc<Key>| id.is_none() || key.id.as_deref() == id;
        let keys = self.keys.iter().filter(has_id);
        keys.filter(|key| key.algorithms.contains(&algorithm))
            .cloned()
            .collect()
    }
}

impl Key {
    fn parse(key: Value) -> Option<Self> {
        // `alg` is parsed here, because jsonwebtoken does not know all of these names. A JWK may have no `alg`, and
        // then the type of the key determines the algorithms.
        let algorithm = match &key["alg"] {
            Value::Null => None,
            name => Some(name.as_str()?.parse().ok()?),
        };
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let by_type = algorithms_for_type(&jwk.algorithm)?;
        let algorithms = match algorithm {
            None => by_type,
            Some(algorithm) => by_type.chunks(1).find(|one| *one == [algorithm])?,
        };
        Some(Self {
            algorithms,
            verifying: parse_verifying_key(&jwk)?,
            id: jwk.common.key_id,
        })
    }
}

/// Returns the algorithms for this type of key. A symmetric key has none, because anybody can read the document that
/// contains it.
fn algorithms_for_type(key: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    Some(match key {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDsa],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::Es256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P521 => &[Algorithm::Es512],
        AlgorithmParameters::RSA(_) => &[Algorithm::Rs256, Algorithm::Ps256],
        _ => return None,
    })
}

fn parse_verifying_key(jwk: &Jwk) -> Option<VerifyingKey> {
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P521 => {
            VerifyingKey::from_p521_coordinates(&key.x, &key.y)
        }
        _ => DecodingKey::from_jwk(jwk).ok().map(VerifyingKey::Jsonwebtoken),
    }
}
