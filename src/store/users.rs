//! The users table: a row for each user who has called, with the claims of the newest token. If Better Auth
//! owns the table, the service only reads it.

use std::hash::{BuildHasher, RandomState};

use diesel::dsl::sql;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::Bool;
use quick_cache::sync::Cache;

use super::prelude::*;
use super::schema::users;
use crate::auth::AuthenticatedUser;
use crate::db::error::is_kind;
use crate::db::timestamp::DbTimestamp;
use crate::db::{Connection, on_both};
use crate::domain::{Timestamp, UserId};

/// The size of the cache. An evicted user's next call costs one statement more.
const MAX_KNOWN_USERS: usize = 50_000;

/// A token with the same claims as the previous one is compared with the row again only if it was issued this
/// much later. Another process may have written other claims in between, but a frontend that fetches a token
/// for each call of a page must not cause a statement for each of them.
const RECHECK_AFTER_SECONDS: f64 = 2.0;

/// Users who are known to have a row, each with the newest token that was compared with it. A call of such a
/// user needs no statement for the row.
pub struct KnownUsers {
    compared: Cache<UserId, Compared>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Compared {
    /// A hash, to save memory.
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
    /// Whether the user is known to have a row that this token would not change.
    pub fn is_up_to_date(&self, user: &AuthenticatedUser) -> bool {
        let Some(compared) = self.compared.get(user.id()) else {
            return false;
        };
        // A token without `iat` never refreshes a row.
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

/// Inserts or refreshes the user's row, unless the table is Better Auth's. Returns whether the user has a row
/// afterwards.
pub(super) async fn ensure(connection: &mut Connection<'_>, user: &AuthenticatedUser) -> QueryResult<bool> {
    let row = users::table
        .find(user.id().as_str())
        .select((users::email, users::name));
    let row: Option<(Option<String>, Option<String>)> = on_both!(connection, |c| row.first(c)).optional()?;
    let agrees = |claim: Option<&str>, stored: &Option<String>| claim.is_none() || claim == stored.as_deref();
    let is_up_to_date = row
        .as_ref()
        .is_some_and(|(email, name)| agrees(user.email(), email) && agrees(user.name(), name));
    if is_up_to_date || belongs_to_better_auth(connection).await? {
        return Ok(row.is_some());
    }
    let exists = row.is_some();
    let outcome = match write(connection, user, user.email(), exists).await {
        // The unique index detects that another row has this email. A query for it would have to ask every node
        // of a distributed database, which has no such index and therefore no conflict.
        Err(error) if is_kind(&error, DatabaseErrorKind::UniqueViolation) => {
            write(connection, user, None, exists).await
        }
        outcome => outcome,
    };
    match outcome {
        Err(DieselError::RollbackTransaction) => Ok(exists),
        outcome => outcome.map(|()| true),
    }
}

async fn write(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
    exists: bool,
) -> QueryResult<()> {
    let write = async |connection: &mut Connection<'_>| {
        // Not an upsert: it would fail for an existing user if another program has added a NOT NULL column.
        if exists || insert(connection, user, email).await? == 0 {
            refresh(connection, user, email).await?;
        }
        // Checked after the write, because Better Auth's migration may run at any time: the write locks the
        // table against it until the transaction ends.
        match belongs_to_better_auth(connection).await? {
            true => Err(DieselError::RollbackTransaction),
            false => Ok(()),
        }
    };
    connection.transaction(write).await
}

/// Returns the number of inserted rows: zero if a parallel call was faster.
async fn insert(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
) -> QueryResult<usize> {
    let row = (
        users::id.eq(user.id().as_str()),
        users::email.eq(email),
        users::name.eq(user.name()),
        users::created_at.eq(DbTimestamp(Timestamp::now())),
        users::claims_issued_at.eq(user.issued_at()),
    );
    on_both!(connection, |c| {
        diesel::insert_into(users::table)
            .values(row)
            .on_conflict(users::id)
            .do_nothing()
            .execute(c)
    })
}

#[derive(AsChangeset)]
#[diesel(table_name = users)]
struct Claims<'a> {
    email: Option<&'a str>,
    name: Option<&'a str>,
    claims_issued_at: Option<f64>,
}

/// Leaves claims alone that the token does not make. The statement compares the tokens' `iat`, because another
/// process may write at the same time.
async fn refresh(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
) -> QueryResult<usize> {
    let claims = Claims {
        email,
        name: user.name(),
        claims_issued_at: user.issued_at(),
    };
    let issued_at = user.issued_at();
    let is_older = users::claims_issued_at
        .is_null()
        .or(users::claims_issued_at.le(issued_at));
    let row = users::table.find(user.id().as_str()).filter(is_older);
    match issued_at {
        None => Ok(0),
        Some(_) => on_both!(connection, |c| diesel::update(row).set(claims).execute(c)),
    }
}

/// Whether the table has a column of Better Auth's, named in either of the two usual ways.
pub(super) async fn belongs_to_better_auth(connection: &mut Connection<'_>) -> QueryResult<bool> {
    has_column(connection, "'email_verified', 'emailVerified'").await
}

/// Whether the table has a column with one of these names. It is a separate statement, because Citus may reject
/// one that joins a catalog with a distributed table.
pub(super) async fn has_column(connection: &mut Connection<'_>, names: &str) -> QueryResult<bool> {
    let columns = match connection.is_sqlite() {
        true => "pragma_table_info('users') WHERE name",
        false => "pg_attribute WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname",
    };
    let exists = format!("EXISTS (SELECT 1 FROM {columns} IN ({names}))");
    on_both!(connection, |c| diesel::select(sql::<Bool>(&exists)).get_result(c))
}
