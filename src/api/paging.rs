//! Cursors: a place in a list, sealed so that a client can hand it back and not make one up.
//!
//! Sealed with a key that comes from the service's secret: any replica opens what another sealed. A
//! cursor belongs to one user, one filter and one sort.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::Secret;
use crate::domain::{Listing, Position, TaskId, UserId};

/// Half of a SHA-256: enough for what may be tried against a server.
const SEAL_BYTES: usize = 16;

pub struct CursorSeal(hmac::Key);

impl CursorSeal {
    pub fn new(secret: &Secret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = hmac::sign(&secret, b"todo-backend: page cursors of the database's bytes");
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    pub fn close(&self, owner: &UserId, listing: &Listing, position: &Position) -> String {
        let place = write(position);
        let mut bytes = self.seal(owner, listing, &place).to_vec();
        bytes.extend(place);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn open(&self, owner: &UserId, listing: &Listing, cursor: &str) -> Option<Position> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (seal, place) = bytes.split_at_checked(SEAL_BYTES)?;
        let expected = self.seal(owner, listing, place);
        aws_lc_rs::constant_time::verify_slices_are_equal(seal, &expected).ok()?;
        read(place)
    }

    fn seal(&self, owner: &UserId, listing: &Listing, place: &[u8]) -> [u8; SEAL_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        let owner = owner.as_str();
        context.update(&(owner.len() as u64).to_le_bytes());
        context.update(owner.as_bytes());
        context.update(&[listing.sort as u8, listing.status as u8]);
        context.update(place);
        let mut seal = [0; SEAL_BYTES];
        seal.copy_from_slice(&context.sign().as_ref()[..SEAL_BYTES]);
        seal
    }
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
    use crate::domain::{Sort, Status};

    #[test]
    fn a_cursor_opens_for_the_same_user_filter_and_sort_alone() {
        let seal = CursorSeal(hmac::Key::new(hmac::HMAC_SHA256, b"key"));
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
            let cursor = seal.close(&user("ada"), &here, &position);
            assert_eq!(seal.open(&user("ada"), &here, &cursor), Some(position));

            assert_eq!(seal.open(&user("bob"), &here, &cursor), None);
            let other = listing(sort, Status::Pending);
            assert_eq!(seal.open(&user("ada"), &other, &cursor), None);
            for at in 0..cursor.len() {
                let mut bent = cursor.clone().into_bytes();
                bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
                let bent = String::from_utf8(bent).unwrap();
                assert_eq!(seal.open(&user("ada"), &here, &bent), None, "{at}");
            }
        }
    }
}
