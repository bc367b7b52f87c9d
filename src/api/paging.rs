//! Cursors: a place in a list, signed so that a client can hand it back and not make one up.
//!
//! The key comes from the service's secret, so that any replica verifies what another signed; with several
//! secrets, each of them verifies. A cursor belongs to one user, one filter and one sort.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::{Secret, Secrets};
use crate::domain::{Listing, Position, TaskId, UserId};

/// Half of a SHA-256: enough for what may be tried against a server.
const SIGNATURE_BYTES: usize = 16;

pub struct CursorSigner {
    signing: hmac::Key,
    /// The signing one among them.
    verifying: Vec<hmac::Key>,
}

impl CursorSigner {
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            signing: key_of(secrets.signing()),
            verifying: secrets.iter().map(key_of).collect(),
        }
    }

    pub fn sign(&self, owner: &UserId, listing: &Listing, position: &Position) -> String {
        let place = write(position);
        let mut bytes = signature(&self.signing, owner, listing, &place).to_vec();
        bytes.extend(place);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn verify(&self, owner: &UserId, listing: &Listing, cursor: &str) -> Option<Position> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signed, place) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        let made_by = |key| {
            let expected = signature(key, owner, listing, place);
            aws_lc_rs::constant_time::verify_slices_are_equal(signed, &expected).is_ok()
        };
        self.verifying.iter().any(made_by).then(|| read(place))?
    }
}

/// The text is that of version 0.1.0, whose cursors clients may still hold.
fn key_of(secret: &Secret) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let key = hmac::sign(&secret, b"todo-backend: page cursors of the database's bytes");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn signature(key: &hmac::Key, owner: &UserId, listing: &Listing, place: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut context = hmac::Context::with_key(key);
    let owner = owner.as_str();
    context.update(&(owner.len() as u64).to_le_bytes());
    context.update(owner.as_bytes());
    context.update(&[listing.sort as u8, listing.status as u8]);
    context.update(place);
    let mut signature = [0; SIGNATURE_BYTES];
    signature.copy_from_slice(&context.sign().as_ref()[..SIGNATURE_BYTES]);
    signature
}

fn write(position: &Position) -> Vec<u8> {
    let key = position.key.as_deref().unwrap_or_default();
    [&position.id.0.to_le_bytes()[..], key].concat()
}

fn read(place: &[u8]) -> Option<Position> {
    let (id, key) = place.split_first_chunk()?;
    Some(Position {
        key: (!key.is_empty()).then(|| key.to_vec()),
        id: TaskId(i64::from_le_bytes(*id)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::domain::{Sort, Status};

    fn signer(secrets: &str) -> CursorSigner {
        let config = Config::from_variables(&|variable| match variable {
            "BETTER_AUTH_SECRETS" => Some(secrets.into()),
            _ => None,
        });
        CursorSigner::new(&config.unwrap().secret_source.secrets().unwrap())
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_good_under_each_secret() {
        const OLD: &str = "0.1.0-secret-of-thirty-two-bytes!";
        const NEW: &str = "another-secret-of-thirty-two-bytes";
        let ada = UserId::parse("ada").unwrap();
        let listing = Listing {
            sort: Sort::Title,
            status: Status::All,
            page: None,
        };
        let place = Position {
            key: Some(vec![1, 2, 3]),
            id: TaskId(7),
        };
        // As version 0.1.0 made it with the old secret.
        let cursor = "9qTcIzWXq7RY3hqtTb9fRgcAAAAAAAAAAQID";
        for secrets in [
            format!("1:{OLD}"),
            format!("1:{OLD},2:{NEW}"),
            format!("2:{NEW},1:{OLD}"),
        ] {
            let signer = signer(&secrets);
            assert_eq!(
                signer.verify(&ada, &listing, cursor).as_ref(),
                Some(&place),
                "{secrets}"
            );
            let signs_like_it = signer.sign(&ada, &listing, &place) == cursor;
            assert_eq!(signs_like_it, secrets.starts_with("1:"), "the first one signs");
        }
        assert_eq!(signer(&format!("2:{NEW}")).verify(&ada, &listing, cursor), None);
    }

    #[test]
    fn a_cursor_is_good_for_the_same_user_filter_and_sort_alone() {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let signer = CursorSigner {
            signing: key(),
            verifying: vec![key()],
        };
        let user = |id| UserId::parse(id).unwrap();
        let listing = |sort, status| Listing {
            sort,
            status,
            page: None,
        };
        for (sort, key) in [
            (Sort::Created, Some(vec![7; 8])),
            (Sort::Title, Some(vec![1, 2, 3])),
            (Sort::DueDate, None),
        ] {
            let position = Position { key, id: TaskId(7) };
            let here = listing(sort, Status::All);
            let cursor = signer.sign(&user("ada"), &here, &position);
            assert_eq!(signer.verify(&user("ada"), &here, &cursor), Some(position));

            assert_eq!(signer.verify(&user("bob"), &here, &cursor), None);
            let other = listing(sort, Status::Pending);
            assert_eq!(signer.verify(&user("ada"), &other, &cursor), None);
            for at in 0..cursor.len() {
                let mut bent = cursor.clone().into_bytes();
                bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
                let bent = String::from_utf8(bent).unwrap();
                assert_eq!(signer.verify(&user("ada"), &here, &bent), None, "{at}");
            }
        }
    }
}
