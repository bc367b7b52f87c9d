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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PUBLIC_KEY: &str = "PxbT3TqqlQLaI-pY-ugCR0prvbsytURASzmIvPL0U9w";

    fn count_candidates(keys: Value, id: Option<&str>, algorithm: Algorithm) -> usize {
        let document = json!({"keys": keys}).to_string();
        KeySet::parse(document.as_bytes())
            .unwrap()
            .candidates(id, algorithm)
            .len()
    }

    #[test]
    fn a_key_without_alg_is_used_for_the_algorithm_of_its_type() {
        let keys = json!([{"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "a"}]);
        assert_eq!(count_candidates(keys.clone(), Some("a"), Algorithm::EdDsa), 1);
        assert_eq!(count_candidates(keys.clone(), None, Algorithm::EdDsa), 1);
        assert_eq!(count_candidates(keys.clone(), Some("b"), Algorithm::EdDsa), 0);
        assert_eq!(count_candidates(keys, Some("a"), Algorithm::Es256), 0);
    }

    #[test]
    fn a_key_may_use_either_name_of_its_algorithm() {
        for name in ["EdDSA", "Ed25519"] {
            let keys = json!([{"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "a", "alg": name}]);
            assert_eq!(count_candidates(keys, Some("a"), Algorithm::EdDsa), 1, "{name}");
        }
    }

    #[test]
    fn a_key_that_names_an_algorithm_is_used_only_for_that_algorithm() {
        let n = concat!(
            "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u",
            "-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg",
            "0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9x",
            "NAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbj",
            "Xfbcmw",
        );
        let key = |alg: Value| json!([{"kty": "RSA", "n": n, "e": "AQAB", "alg": alg}]);
        assert_eq!(count_candidates(key(json!("PS256")), None, Algorithm::Ps256), 1);
        assert_eq!(count_candidates(key(json!("PS256")), None, Algorithm::Rs256), 0);
        assert_eq!(count_candidates(key(Value::Null), None, Algorithm::Rs256), 1);
    }

    #[test]
    fn unsupported_keys_are_ignored() {
        let keys = json!([
            {"kty": "EC", "crv": "P-521", "alg": "ES512", "x": PUBLIC_KEY, "y": PUBLIC_KEY, "kid": "not on the curve"},
            {"kty": "EC", "crv": "P-384", "alg": "ES384", "x": PUBLIC_KEY, "y": PUBLIC_KEY, "kid": "es384"},
            {"kty": "OKP", "crv": "Ed448", "alg": "Ed448", "x": PUBLIC_KEY, "kid": "ed448"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": PUBLIC_KEY, "kid": "pq"},
            {"kty": "oct", "k": PUBLIC_KEY, "alg": "HS256", "kid": "shared"},
            {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "enc", "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "lies", "alg": "RS256"},
            {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "a number", "alg": 5},
            "nonsense",
            {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": "good", "alg": "EdDSA"},
        ]);
        assert_eq!(count_candidates(keys.clone(), None, Algorithm::EdDsa), 1);
        for other in [Algorithm::Rs256, Algorithm::Es512, Algorithm::Hs256] {
            assert_eq!(count_candidates(keys.clone(), None, other), 0, "{other:?}");
        }
    }
}
