//! Cursors: a place in a list, signed so that a client can hand it back and not make one up.
//!
//! The key comes from the service's secret, so that any replica verifies what another signed; with several
//! secrets, each of them verifies. A cursor belongs to one user, one filter, one sort and one kind of database.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::{DatabaseUrl, Secret, Secrets};
use crate::domain::{Listing, Position, Sort, TaskId, UserId};

/// Half of a SHA-256: enough for what may be tried against a server.
const SIGNATURE_BYTES: usize = 16;

/// A position holds bytes of the database's own form, which the other kind of database cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Cursors of version 0.1.0 do not say.
    Unknown = 0x00,
    Sqlite = 0x10,
    Postgres = 0x20,
}

pub struct CursorSigner {
    signing: hmac::Key,
    /// The signing one among them.
    verifying: Vec<hmac::Key>,
    kind: Kind,
}

impl CursorSigner {
    pub fn new(secrets: &Secrets, database: &DatabaseUrl) -> Self {
        Self {
            signing: key_of(secrets.signing()),
            verifying: secrets.iter().map(key_of).collect(),
            kind: match database {
                DatabaseUrl::Sqlite(_) => Kind::Sqlite,
                DatabaseUrl::Postgres(_) => Kind::Postgres,
            },
        }
    }

    pub fn sign(&self, owner: &UserId, listing: &Listing, position: &Position) -> String {
        let place = write(position);
        let mut bytes = signature(&self.signing, owner, listing, self.kind, &place).to_vec();
        bytes.extend(place);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn verify(&self, owner: &UserId, listing: &Listing, cursor: &str) -> Option<Position> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signed, place) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        let is_of = |kind| {
            self.verifying.iter().any(|key| {
                let expected = signature(key, owner, listing, kind, place);
                aws_lc_rs::constant_time::verify_slices_are_equal(signed, &expected).is_ok()
            })
        };
        let position = read(place)?;
        let valid = is_of(self.kind) || (is_of(Kind::Unknown) && self.can_read(listing, &position));
        valid.then_some(position)
    }

    /// A time is eight bytes in PostgreSQL and a longer text in SQLite; sort keys of titles are the same in
    /// both.
    fn can_read(&self, listing: &Listing, position: &Position) -> bool {
        match (listing.sort, &position.key) {
            (Sort::Title, _) | (_, None) => true,
            (Sort::Created | Sort::DueDate, Some(time)) => (time.len() == 8) == (self.kind == Kind::Postgres),
        }
    }
}

/// The text is that of version 0.1.0, whose cursors clients may still hold.
fn key_of(secret: &Secret) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let key = hmac::sign(&secret, b"todo-backend: page cursors of the database's bytes");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn signature(
    key: &hmac::Key,
    owner: &UserId,
    listing: &Listing,
    kind: Kind,
    place: &[u8],
) -> [u8; SIGNATURE_BYTES] {
    let mut context = hmac::Context::with_key(key);
    let owner = owner.as_str();
    context.update(&(owner.len() as u64).to_le_bytes());
    context.update(owner.as_bytes());
    context.update(&[listing.sort as u8 | kind as u8, listing.status as u8]);
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
    use crate::domain::Status;

    fn signer(secrets: &str) -> CursorSigner {
        let config = Config::from_variables(&|variable| match variable {
            "BETTER_AUTH_SECRETS" => Some(secrets.into()),
            _ => None,
        });
        let config = config.unwrap();
        CursorSigner::new(&config.secret_source.secrets().unwrap(), &config.database_url)
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
        }
        assert_eq!(signer(&format!("2:{NEW}")).verify(&ada, &listing, cursor), None);
    }

    fn signer_of(kind: Kind) -> CursorSigner {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, b"key");
        CursorSigner {
            signing: key(),
            verifying: vec![key()],
            kind,
        }
    }

    fn listing(sort: Sort, status: Status) -> Listing {
        Listing {
            sort,
            status,
            page: None,
        }
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn a_cursor_is_good_for_the_same_user_filter_and_sort_alone() {
        let signer = signer_of(Kind::Postgres);
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

    #[test]
    fn a_cursor_of_one_database_is_refused_by_the_other() {
        let (postgres, sqlite) = (signer_of(Kind::Postgres), signer_of(Kind::Sqlite));
        for (sort, key) in [
            (Sort::Created, Some(vec![7; 8])),
            (Sort::Title, Some(vec![1, 2, 3])),
            (Sort::DueDate, None),
        ] {
            let (ada, here) = (user("ada"), listing(sort, Status::All));
            let position = Position { key, id: TaskId(7) };
            for (from, to) in [(&postgres, &sqlite), (&sqlite, &postgres)] {
                let cursor = from.sign(&ada, &here, &position);
                assert_eq!(from.verify(&ada, &here, &cursor).as_ref(), Some(&position));
                assert_eq!(to.verify(&ada, &here, &cursor), None, "{sort:?}");
            }
        }
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_good_where_it_was_made() {
        let (postgres, sqlite) = (signer_of(Kind::Postgres), signer_of(Kind::Sqlite));
        let text = b"2026-01-02T03:04:05.678901Z".to_vec();
        for (sort, key, of_postgres, of_sqlite) in [
            (Sort::Created, Some(vec![7; 8]), true, false),
            (Sort::Created, Some(text.clone()), false, true),
            (Sort::DueDate, Some(vec![7; 8]), true, false),
            (Sort::DueDate, Some(text), false, true),
            (Sort::DueDate, None, true, true),
            (Sort::Title, Some(vec![1, 2, 3]), true, true),
        ] {
            let (ada, here) = (user("ada"), listing(sort, Status::All));
            let cursor = signer_of(Kind::Unknown).sign(&ada, &here, &Position { key, id: TaskId(7) });
            assert_eq!(
                postgres.verify(&ada, &here, &cursor).is_some(),
                of_postgres,
                "{sort:?}"
            );
            assert_eq!(
                sqlite.verify(&ada, &here, &cursor).is_some(),
                of_sqlite,
                "{sort:?}"
            );
        }
    }
}
