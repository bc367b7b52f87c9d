//! The cursors of task lists, which contain the position after which the next page begins.

use crate::config::{DatabaseUrl, Secrets};
use crate::domain::{ListQuery, Position, Sort, TaskId, UserId};
use crate::http::cursor::CursorSigner;

/// The kind of database for which a cursor is valid. A position contains a sort key as the database stores it, which
/// the other kind of database cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DatabaseKind {
    /// A cursor of version 0.1.0, whose signature does not include the kind.
    Unknown = 0x00,
    Sqlite = 0x10,
    Postgres = 0x20,
}

pub struct ListCursors {
    signer: CursorSigner,
    kind: DatabaseKind,
}

impl ListCursors {
    pub fn new(secrets: &Secrets, database: &DatabaseUrl) -> Self {
        Self {
            signer: CursorSigner::new(secrets),
            kind: match database {
                DatabaseUrl::Sqlite(_) => DatabaseKind::Sqlite,
                DatabaseUrl::Postgres(_) => DatabaseKind::Postgres,
            },
        }
    }

    pub fn sign(&self, owner: &UserId, query: &ListQuery, position: &Position) -> String {
        let list = list_id(query, self.kind);
        self.signer.sign(owner, &list, &encode(position))
    }

    pub fn verify(&self, owner: &UserId, query: &ListQuery, cursor: &str) -> Option<Position> {
        let lists = [self.kind, DatabaseKind::Unknown].map(|kind| list_id(query, kind));
        let (signed_for, position) = self.signer.verify(owner, &lists, cursor)?;
        let position = decode(&position)?;
        (*signed_for == lists[0] || self.can_read(query, &position)).then_some(position)
    }

    /// Whether this kind of database can read a position from a cursor of version 0.1.0. Stored times tell the kinds
    /// apart: PostgreSQL's have eight bytes, and SQLite's are longer texts. The sort keys of titles are the same in both.
    fn can_read(&self, query: &ListQuery, position: &Position) -> bool {
        match (query.sort, &position.key) {
            (Sort::Title, _) | (_, None) => true,
            (Sort::Created | Sort::DueDate, Some(time)) => {
                (time.len() == 8) == (self.kind == DatabaseKind::Postgres)
            }
        }
    }
}

/// Identifies the list that a cursor belongs to. The result must not change, because clients may still have cursors
/// that an earlier version signed with it.
fn list_id(query: &ListQuery, kind: DatabaseKind) -> [u8; 2] {
    [query.sort as u8 | kind as u8, query.status as u8]
}

fn encode(position: &Position) -> Vec<u8> {
    let key = position.key.as_deref().unwrap_or_default();
    [&position.id.0.to_le_bytes()[..], key].concat()
}

fn decode(bytes: &[u8]) -> Option<Position> {
    let (id, key) = bytes.split_first_chunk()?;
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

    fn cursors(secrets: &str) -> ListCursors {
        let config = Config::from_variables(&|variable| match variable {
            "BETTER_AUTH_SECRETS" => Some(secrets.into()),
            _ => None,
        });
        let config = config.unwrap();
        ListCursors::new(
            &config.secret_source.load_or_generate().unwrap(),
            &config.database_url,
        )
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_valid_under_each_secret() {
        const OLD: &str = "0.1.0-secret-of-thirty-two-bytes!";
        const NEW: &str = "another-secret-of-thirty-two-bytes";
        let ada = UserId::parse("ada").unwrap();
        let query = query(Sort::Title, Status::All);
        let position = Position {
            key: Some(vec![1, 2, 3]),
            id: TaskId(7),
        };
        // Version 0.1.0 signed this cursor with the old secret.
        let cursor = "9qTcIzWXq7RY3hqtTb9fRgcAAAAAAAAAAQID";
        for secrets in [
            format!("1:{OLD}"),
            format!("1:{OLD},2:{NEW}"),
            format!("2:{NEW},1:{OLD}"),
        ] {
            let cursors = cursors(&secrets);
            assert_eq!(
                cursors.verify(&ada, &query, cursor).as_ref(),
                Some(&position),
                "{secrets}"
            );
        }
        assert_eq!(cursors(&format!("2:{NEW}")).verify(&ada, &query, cursor), None);
    }

    fn cursors_of(kind: DatabaseKind) -> ListCursors {
        let ListCursors { signer, .. } = cursors("1:a-secret-of-at-least-thirty-two-bytes!");
        ListCursors { signer, kind }
    }

    fn query(sort: Sort, status: Status) -> ListQuery {
        ListQuery {
            sort,
            status,
            page: None,
        }
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn a_cursor_is_only_valid_for_the_same_user_filter_and_sort() {
        let cursors = cursors_of(DatabaseKind::Postgres);
        for (sort, key) in [
            (Sort::Created, Some(vec![7; 8])),
            (Sort::Title, Some(vec![1, 2, 3])),
            (Sort::DueDate, None),
        ] {
            let position = Position { key, id: TaskId(7) };
            let list = query(sort, Status::All);
            let cursor = cursors.sign(&user("ada"), &list, &position);
            assert_eq!(cursors.verify(&user("ada"), &list, &cursor), Some(position));

            assert_eq!(cursors.verify(&user("bob"), &list, &cursor), None);
            let other = query(sort, Status::Pending);
            assert_eq!(cursors.verify(&user("ada"), &other, &cursor), None);
            for at in 0..cursor.len() {
                let mut tampered = cursor.clone().into_bytes();
                tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
                let tampered = String::from_utf8(tampered).unwrap();
                assert_eq!(cursors.verify(&user("ada"), &list, &tampered), None, "{at}");
            }
        }
    }

    #[test]
    fn a_cursor_of_one_database_is_refused_by_the_other() {
        let (postgres, sqlite) = (
            cursors_of(DatabaseKind::Postgres),
            cursors_of(DatabaseKind::Sqlite),
        );
        for (sort, key) in [
            (Sort::Created, Some(vec![7; 8])),
            (Sort::Title, Some(vec![1, 2, 3])),
            (Sort::DueDate, None),
        ] {
            let (ada, list) = (user("ada"), query(sort, Status::All));
            let position = Position { key, id: TaskId(7) };
            for (from, to) in [(&postgres, &sqlite), (&sqlite, &postgres)] {
                let cursor = from.sign(&ada, &list, &position);
                assert_eq!(from.verify(&ada, &list, &cursor).as_ref(), Some(&position));
                assert_eq!(to.verify(&ada, &list, &cursor), None, "{sort:?}");
            }
        }
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_valid_on_its_own_kind_of_database() {
        let (postgres, sqlite) = (
            cursors_of(DatabaseKind::Postgres),
            cursors_of(DatabaseKind::Sqlite),
        );
        let text = b"2026-01-02T03:04:05.678901Z".to_vec();
        for (sort, key, of_postgres, of_sqlite) in [
            (Sort::Created, Some(vec![7; 8]), true, false),
            (Sort::Created, Some(text.clone()), false, true),
            (Sort::DueDate, Some(vec![7; 8]), true, false),
            (Sort::DueDate, Some(text), false, true),
            (Sort::DueDate, None, true, true),
            (Sort::Title, Some(vec![1, 2, 3]), true, true),
        ] {
            let (ada, list) = (user("ada"), query(sort, Status::All));
            let cursor =
                cursors_of(DatabaseKind::Unknown).sign(&ada, &list, &Position { key, id: TaskId(7) });
            assert_eq!(
                postgres.verify(&ada, &list, &cursor).is_some(),
                of_postgres,
                "{sort:?}"
            );
            assert_eq!(
                sqlite.verify(&ada, &list, &cursor).is_some(),
                of_sqlite,
                "{sort:?}"
            );
        }
    }
}
