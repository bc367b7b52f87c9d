//! Page cursors: a position in a list, signed so that a client cannot forge one.
//!
//! The key is derived from the service's secret, so that every replica can verify the cursors of the others. A cursor
//! is valid under any of the configured secrets, and only for its user and its list.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::{Secret, Secrets};
use crate::domain::UserId;

/// The length of a signature: the first half of an HMAC-SHA-256. It is long enough, because an attacker can only test a
/// guess by sending a request.
const SIGNATURE_BYTES: usize = 16;

#[derive(Clone)]
pub struct CursorSigner {
    /// The keys of all configured secrets. As in `Secrets`, the first one signs, and all of them verify.
    keys: Vec<hmac::Key>,
}

impl CursorSigner {
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            keys: secrets.iter().map(derive_key).collect(),
        }
    }

    /// Returns the cursor of a position. `list` identifies the list among all lists of the owner.
    pub fn sign(&self, owner: &UserId, list: &[u8], position: &[u8]) -> String {
        let signature = signature(&self.keys[0], owner, list, position);
        BASE64_URL_SAFE_NO_PAD.encode([&signature[..], position].concat())
    }

    /// Returns the list among `lists` that the cursor was signed for, and the position.
    pub fn verify<'a, const N: usize>(
        &self,
        owner: &UserId,
        lists: &'a [[u8; N]],
        cursor: &str,
    ) -> Option<(&'a [u8; N], Vec<u8>)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signed, position) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        let is_valid = |list: &[u8]| {
            self.keys.iter().any(|key| {
                let expected = signature(key, owner, list, position);
                constant_time::verify_slices_are_equal(signed, &expected).is_ok()
            })
        };
        let list = lists.iter().find(|list| is_valid(&list[..]))?;
        Some((list, position.to_vec()))
    }
}

/// Derives the key for cursors from a secret. The signed text must not change, because clients may still have cursors
/// that version 0.1.0 signed with the resulting key.
fn derive_key(secret: &Secret) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let key = hmac::sign(&secret, b"todo-backend: page cursors of the database's bytes");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn signature(key: &hmac::Key, owner: &UserId, list: &[u8], position: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut context = hmac::Context::with_key(key);
    let owner = owner.as_str();
    context.update(&(owner.len() as u64).to_le_bytes());
    context.update(owner.as_bytes());
    context.update(list);
    context.update(position);
    let mut signature = [0; SIGNATURE_BYTES];
    signature.copy_from_slice(&context.sign().as_ref()[..SIGNATURE_BYTES]);
    signature
}
