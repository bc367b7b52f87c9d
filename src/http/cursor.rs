//! Cursors: a place in a list, signed so that a client can send it back and cannot make one up.
//!
//! The key is derived from the service's secret, so that every replica verifies what another one signed. With
//! several secrets, each of them verifies. A cursor is bound to its user and its list.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::{Secret, Secrets};
use crate::domain::UserId;

/// Half of an HMAC-SHA-256: an attacker can only guess online, one request for each attempt.
const SIGNATURE_BYTES: usize = 16;

#[derive(Clone)]
pub struct CursorSigner {
    signing: hmac::Key,
    /// The signing key is one of them.
    verifying: Vec<hmac::Key>,
}

impl CursorSigner {
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            signing: key_of(secrets.signing()),
            verifying: secrets.iter().map(key_of).collect(),
        }
    }

    /// `list` is whatever distinguishes the list from the owner's other ones.
    pub fn sign(&self, owner: &UserId, list: &[u8], place: &[u8]) -> String {
        let signature = signature(&self.signing, owner, list, place);
        BASE64_URL_SAFE_NO_PAD.encode([&signature[..], place].concat())
    }

    /// The place, and the first of `lists` that the cursor was signed for.
    pub fn verify<'a, const N: usize>(
        &self,
        owner: &UserId,
        lists: &'a [[u8; N]],
        cursor: &str,
    ) -> Option<(&'a [u8; N], Vec<u8>)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signed, place) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        let is_valid = |list: &[u8]| {
            self.verifying.iter().any(|key| {
                let expected = signature(key, owner, list, place);
                constant_time::verify_slices_are_equal(signed, &expected).is_ok()
            })
        };
        let list = lists.iter().find(|list| is_valid(&list[..]))?;
        Some((list, place.to_vec()))
    }
}

/// The label is that of version 0.1.0, whose cursors clients may still hold.
fn key_of(secret: &Secret) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let key = hmac::sign(&secret, b"todo-backend: page cursors of the database's bytes");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn signature(key: &hmac::Key, owner: &UserId, list: &[u8], place: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut context = hmac::Context::with_key(key);
    let owner = owner.as_str();
    context.update(&(owner.len() as u64).to_le_bytes());
    context.update(owner.as_bytes());
    context.update(list);
    context.update(place);
    let mut signature = [0; SIGNATURE_BYTES];
    signature.copy_from_slice(&context.sign().as_ref()[..SIGNATURE_BYTES]);
    signature
}
