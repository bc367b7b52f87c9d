//! An issuer's public keys, parsed from its JWKS document.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, VerifyingKey};

/// Further keys are ignored. Issuers usually have only a few.
const MAX_KEYS: usize = 100;

#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
}

pub(super) struct Key {
    pub id: Option<String>,
    pub verifying: VerifyingKey,
    /// The algorithms of the key's type, or only the one that the issuer names.
    algorithms: &'static [Algorithm],
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Ignores unsupported keys, so that the others can be used.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let keys = document.keys.into_iter().take(MAX_KEYS);
        Ok(Self {
            keys: keys.filter_map(|key| Key::parse(key).map(Arc::new)).collect(),
        })
    }

    /// The keys that may have signed a token. A token without a key id may be signed with any key for its algorithm.
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
        // Parsed separately, because jsonwebtoken does not support all of these algorithms. Keys of older issuers have
        // no `alg`; their type determines the algorithms.
        let algorithm = match &key["alg"] {
            Value::Null => None,
            named => Some(Algorithm::named(named.as_str()?)?),
        };
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let by_type = algorithms_of(&jwk.algorithm)?;
        let algorithms = match algorithm {
            None => by_type,
            Some(algorithm) => by_type.chunks(1).find(|one| *one == [algorithm])?,
        };
        Some(Self {
            algorithms,
            verifying: verifying_key(&jwk)?,
            id: jwk.common.key_id,
        })
    }
}

/// Symmetric keys are never used, because everybody can read them in a public document.
fn algorithms_of(key: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    Some(match key {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDsa],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::Es256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P521 => &[Algorithm::Es512],
        AlgorithmParameters::RSA(_) => &[Algorithm::Rs256, Algorithm::Ps256],
        _ => return None,
    })
}

fn verifying_key(jwk: &Jwk) -> Option<VerifyingKey> {
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P521 => {
            VerifyingKey::p521(&key.x, &key.y)
        }
        _ => DecodingKey::from_jwk(jwk).ok().map(VerifyingKey::Jsonwebtoken),
    }
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
        assert_eq!(suited(keys.clone(), Some("a"), Algorithm::EdDsa), 1);
        assert_eq!(suited(keys.clone(), None, Algorithm::EdDsa), 1);
        assert_eq!(suited(keys.clone(), Some("b"), Algorithm::EdDsa), 0);
        assert_eq!(suited(keys, Some("a"), Algorithm::Es256), 0);
    }

    #[test]
    fn a_key_may_name_its_algorithm_by_either_name() {
        for name in ["EdDSA", "Ed25519"] {
            let keys = json!([{"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a", "alg": name}]);
            assert_eq!(suited(keys, Some("a"), Algorithm::EdDsa), 1, "{name}");
        }
    }

    #[test]
    fn a_key_that_names_one_algorithm_is_not_for_the_other_of_its_type() {
        let n = concat!(
            "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u",
            "-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg",
            "0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9x",
            "NAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbj",
            "Xfbcmw",
        );
        let key = |alg: Value| json!([{"kty": "RSA", "n": n, "e": "AQAB", "alg": alg}]);
        assert_eq!(suited(key(json!("PS256")), None, Algorithm::Ps256), 1);
        assert_eq!(suited(key(json!("PS256")), None, Algorithm::Rs256), 0);
        assert_eq!(suited(key(Value::Null), None, Algorithm::Rs256), 1);
    }

    #[test]
    fn keys_of_unknown_kinds_are_left_out_and_spoil_nothing() {
        let keys = json!([
            {"kty": "EC", "crv": "P-521", "alg": "ES512", "x": X, "y": X, "kid": "not on the curve"},
            {"kty": "EC", "crv": "P-384", "alg": "ES384", "x": X, "y": X, "kid": "es384"},
            {"kty": "OKP", "crv": "Ed448", "alg": "Ed448", "x": X, "kid": "ed448"},
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": X, "kid": "pq"},
            {"kty": "oct", "k": X, "alg": "HS256", "kid": "shared"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "enc", "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "lies", "alg": "RS256"},
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a number", "alg": 5},
            "nonsense",
            {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "good", "alg": "EdDSA"},
        ]);
        assert_eq!(suited(keys.clone(), None, Algorithm::EdDsa), 1);
        for other in [Algorithm::Rs256, Algorithm::Es512, Algorithm::Hs256] {
            assert_eq!(suited(keys.clone(), None, other), 0, "{other:?}");
        }
    }
}
