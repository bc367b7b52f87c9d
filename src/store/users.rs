//! The users table: a row for everybody who ever called, made of what the tokens say. Where the table
//! belongs to Better Auth, it is only read.

use std::hash::{BuildHasher, RandomState};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::query_dsl::methods::FilterDsl;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Bool, Nullable, Text};
use diesel::upsert::excluded;
use quick_cache::sync::Cache;

use super::connection::{Connection, on_both};
use super::error::is_kind;
use super::moment::At;
use super::schema::users;
use crate::auth::AuthenticatedUser;
use crate::domain::{Timestamp, UserId};

/// How many users are remembered. A user who was evicted costs one statement at the next call.
const MAX_KNOWN_USERS: usize = 50_000;

/// A token that makes the same claims as the one before is compared with the row again if it was issued so
/// much later, because another process may have written other claims meanwhile. A frontend that fetches a
/// token for each of the calls that make up a page does not pay for each of them.
const RECHECK_AFTER_SECONDS: f64 = 2.0;

/// Users who have a row, each with the newest token that was compared with it, so that a call needs no
/// statement for that.
pub(super) struct KnownUsers {
    compared: Cache<UserId, Compared>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Compared {
    /// A hash, because the texts of so many users would take some megabytes.
    claims: u64,
    issued_at: Option<f64>,
}

impl Default for KnownUsers {
    fn default() -> Self {
        Self {
            compared: Cache::new(MAX_KNOWN_USERS),
            hasher: RandomState::new(),
        }
    }
}

impl KnownUsers {
    /// The row is there, and this token does not change it.
    pub fn is_up_to_date(&self, user: &AuthenticatedUser) -> bool {
        let Some(compared) = self.compared.get(user.id()) else {
            return false;
        };
        // A token that does not say when it was issued never refreshes a row.
        let Some(issued_at) = user.issued_at() else {
            return true;
        };
        let later_by = compared
            .issued_at
            .map_or(f64::INFINITY, |compared| issued_at - compared);
        later_by < 0.0 || (later_by < RECHECK_AFTER_SECONDS && self.hash_claims(user) == compared.claims)
    }

    pub fn remember(&self, user: &AuthenticatedUser) {
        let compared = Compared {
            claims: self.hash_claims(user),
            issued_at: user.issued_at(),
        };
        self.compared.insert(user.id().clone(), compared);
    }

    pub fn forget(&self, id: &UserId) {
        self.compared.remove(id);
    }

    fn hash_claims(&self, user: &AuthenticatedUser) -> u64 {
        self.hasher.hash_one((user.email(), user.name()))
    }
}

/// Inserts the row or refreshes it, where that is ours to do. Whether the user has a row then.
pub(super) fn ensure(conn: &mut Connection, user: &AuthenticatedUser) -> QueryResult<bool> {
    let row = users::table
        .find(user.id().as_str())
        .select((users::email, users::name));
    let row: Option<(Option<String>, Option<String>)> = on_both!(conn, |c| row.first(c)).optional()?;
    let agrees = |claim: Option<&str>, stored: &Option<String>| claim.is_none() || claim == stored.as_deref();
    let is_up_to_date = row
        .as_ref()
        .is_some_and(|(email, name)| agrees(user.email(), email) && agrees(user.name(), name));
    if is_up_to_date || belongs_to_better_auth(conn)? {
        return Ok(row.is_some());
    }
    let outcome = match upsert(conn, user, user.email()) {
        // The unique index is what finds out that another row holds the email: to look for it would mean to
        // ask each node of a distributed database. Such a database has no unique index, and no conflict.
        Err(error) if is_kind(&error, DatabaseErrorKind::UniqueViolation) => upsert(conn, user, None),
        outcome => outcome,
    };
    match outcome {
        Err(DieselError::RollbackTransaction) => Ok(row.is_some()),
        outcome => outcome.map(|()| true),
    }
}

/// Inserts the row, or refreshes one that comes from an older token; a claim that this one does not make is left
/// alone. The database compares the two, because another process may write at the same time.
fn upsert(conn: &mut Connection, user: &AuthenticatedUser, email: Option<&str>) -> QueryResult<()> {
    let row = (
        users::id.eq(user.id().as_str()),
        users::email.eq(email),
        users::name.eq(user.name()),
        users::created_at.eq(At(Timestamp::now())),
        users::claims_issued_at.eq(user.issued_at()),
    );
    let refreshed = (
        users::email.eq(sql::<Nullable<Text>>("coalesce(excluded.email, users.email)")),
        users::name.eq(sql::<Nullable<Text>>("coalesce(excluded.name, users.name)")),
        users::claims_issued_at.eq(excluded(users::claims_issued_at)),
    );
    let is_older = sql::<Bool>(
        "coalesce(users.claims_issued_at, excluded.claims_issued_at) <= excluded.claims_issued_at",
    );
    conn.transaction(|conn| {
        on_both!(conn, |c| {
            diesel::insert_into(users::table)
                .values(row)
                .on_conflict(users::id)
                .do_update()
                .set(refreshed)
                .filter(is_older)
                .execute(c)
        })?;
        // Better Auth's migration may run at any time. The write has locked the table against it until the
        // transaction ends; an answer from before the write could be out of date.
        match belongs_to_better_auth(conn)? {
            true => Err(DieselError::RollbackTransaction),
            false => Ok(()),
        }
    })
}

/// The table has a column of Better Auth's, under its own name or under the one that fits ours. A statement
/// of its own, because Citus does not promise to take a catalog in one about a distributed table.
fn belongs_to_better_auth(conn: &mut Connection) -> QueryResult<bool> {
    let columns = if conn.is_sqlite() {
        "pragma_table_info('users') WHERE name"
    } else {
        "pg_attribute WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname"
    };
    let exists = format!("EXISTS (SELECT 1 FROM {columns} IN ('email_verified', 'emailVerified'))");
    on_both!(conn, |c| diesel::select(sql::<Bool>(&exists)).get_result(c))
}
