//! The signature algorithms that the service accepts, and the keys that verify signatures.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use strum::{EnumString, IntoStaticStr};

/// A signature algorithm that the service accepts. `none` is not among them, because a token with `none` has no
/// signature. The variants have the same names as in the header of a token and in a JWK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE", const_into_str)]
pub(super) enum Algorithm {
    Hs256,
    /// `Ed25519` is the name that RFC 9864 gives to `EdDSA` with the curve Ed25519. The signatures are the same.
    #[strum(to_string = "EdDSA", serialize = "Ed25519")]
    EdDsa,
    Es256,
    Es512,
    Rs256,
    Ps256,
}

impl Algorithm {
    /// Returns `None` for ES512, which jsonwebtoken does not support.
    fn to_jsonwebtoken(self) -> Option<jsonwebtoken::Algorithm> {
        Some(match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Es512 => return None,
        })
    }
}

/// A shared secret or a public key.
pub(super) enum VerifyingKey {
    Jsonwebtoken(DecodingKey),
    /// A key for ES512. aws-lc-rs verifies these signatures, because jsonwebtoken does not support ES512.
    P521(ParsedPublicKey),
}

impl VerifyingKey {
    pub fn from_secret(bytes: &[u8]) -> Self {
        Self::Jsonwebtoken(DecodingKey::from_secret(bytes))
    }

    /// Creates a key from the coordinates in a JWK. Each must have the full length of 66 bytes, as RFC 7518 requires.
    pub fn from_p521_coordinates(x: &str, y: &str) -> Option<Self> {
        const COORDINATE_BYTES: usize = 66;
        const UNCOMPRESSED: u8 = 4;
        let coordinate = |text| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            (bytes.len() == COORDINATE_BYTES).then_some(bytes)
        };
        let point = [vec![UNCOMPRESSED], coordinate(x)?, coordinate(y)?].concat();
        let key = ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point).ok()?;
        Some(Self::P521(key))
    }

    /// Returns whether `signature`, encoded in base64url as in a token, is a valid signature of `message` by this key.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        match (self, algorithm.to_jsonwebtoken()) {
            (Self::Jsonwebtoken(key), Some(algorithm)) => {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap_or(false)
            }
            (Self::P521(key), None) => BASE64_URL_SAFE_NO_PAD
                .decode(signature)
                .is_ok_and(|signature| key.verify_sig(message, &signature).is_ok()),
            _ => false,
        }
    }
}
