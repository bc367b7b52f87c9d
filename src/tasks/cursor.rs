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
    /// apart: PostgreSQL's have eight bytes, and SQLite's are longer texts. The sort keys of titles are the same in
    /// both.
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

    const OLD: &str = "0.1.0-secret-of-thirty-two-bytes!";
    const NEW: &str = "another-secret-of-thirty-two-bytes";

    fn cursors(secrets: &str, kind: DatabaseKind) -> ListCursors {
        let lookup = |variable: &str| (variable == "BETTER_AUTH_SECRETS").then(|| secrets.into());
        let secrets = Config::from_variables(&lookup).unwrap().secret_source;
        let signer = CursorSigner::new(&secrets.load_existing().unwrap());
        ListCursors { signer, kind }
    }

    fn list(sort: Sort) -> ListQuery {
        ListQuery {
            sort,
            ..ListQuery::default()
        }
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_valid_under_each_secret() {
        let ada = UserId::parse("ada").unwrap();
        // Version 0.1.0 signed this cursor with the old secret.
        let cursor = "9qTcIzWXq7RY3hqtTb9fRgcAAAAAAAAAAQID";
        let verify =
            |secrets: &str| cursors(secrets, DatabaseKind::Sqlite).verify(&ada, &list(Sort::Title), cursor);
        let (key, id) = (Some(vec![1, 2, 3]), TaskId(7));
        let position = Some(Position { key, id });
        assert_eq!(verify(&format!("1:{OLD},2:{NEW}")), position);
        assert_eq!(verify(&format!("2:{NEW},1:{OLD}")), position);
        assert_eq!(verify(&format!("2:{NEW}")), None);
    }

    #[test]
    fn a_cursor_of_version_0_1_0_is_valid_on_its_own_kind_of_database() {
        let ada = UserId::parse("ada").unwrap();
        let [old, postgres, sqlite] = [
            DatabaseKind::Unknown,
            DatabaseKind::Postgres,
            DatabaseKind::Sqlite,
        ]
        .map(|kind| cursors(&format!("1:{OLD}"), kind));
        let (binary, text) = (vec![7; 8], b"2026-01-02T03:04:05.678901Z".to_vec());
        for (sort, key, of_postgres, of_sqlite) in [
            (Sort::Created, Some(&binary), true, false),
            (Sort::Created, Some(&text), false, true),
            (Sort::DueDate, Some(&binary), true, false),
            (Sort::DueDate, Some(&text), false, true),
            (Sort::DueDate, None, true, true),
            (Sort::Title, Some(&text), true, true),
        ] {
            let (key, id) = (key.cloned(), TaskId(7));
            let cursor = old.sign(&ada, &list(sort), &Position { key, id });
            let is_valid = |cursors: &ListCursors| cursors.verify(&ada, &list(sort), &cursor).is_some();
            assert_eq!(
                (is_valid(&postgres), is_valid(&sqlite)),
                (of_postgres, of_sqlite),
                "{sort:?}"
            );
        }
    }
}
