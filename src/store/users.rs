//! The users table: a row for everybody who ever called, made of what the tokens say. Where the table
//! belongs to Better Auth, it is only read.

use std::hash::{BuildHasher, RandomState};

use diesel::dsl::sql;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::Bool;
use quick_cache::sync::Cache;

use super::prelude::*;
use super::schema::users;
use crate::auth::AuthenticatedUser;
use crate::db::error::is_kind;
use crate::db::timestamp::At;
use crate::db::{Connection, on_both};
use crate::domain::{Timestamp, UserId};

/// How many users are remembered. A user who was evicted costs one statement at the next call.
const MAX_KNOWN_USERS: usize = 50_000;

/// A token that makes the same claims as the one before is compared with the row again if it was issued so
/// much later, because another process may have written other claims meanwhile. A frontend that fetches a
/// token for each of the calls that make up a page does not pay for each of them.
const RECHECK_AFTER_SECONDS: f64 = 2.0;

/// Users who have a row, each with the newest token that was compared with it, so that a call needs no
/// statement for that.
pub struct KnownUsers {
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
        // The unique index is what finds out that another row holds the email: to look for it would mean to
        // ask each node of a distributed database. Such a database has no unique index, and no conflict.
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
        // No upsert: where another program has added a column that must not be null, it would fail for users
        // who have a row already.
        if exists || insert(connection, user, email).await? == 0 {
            refresh(connection, user, email).await?;
        }
        // Better Auth's migration may run at any time. The write has locked the table against it until the
        // transaction ends; an answer from before the write could be out of date.
        match belongs_to_better_auth(connection).await? {
            true => Err(DieselError::RollbackTransaction),
            false => Ok(()),
        }
    };
    connection.transaction(write).await
}

/// How many rows were inserted: none if another call of the same user was faster.
async fn insert(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
) -> QueryResult<usize> {
    let row = (
        users::id.eq(user.id().as_str()),
        users::email.eq(email),
        users::name.eq(user.name()),
        users::created_at.eq(At(Timestamp::now())),
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

/// A claim that the token does not make is left alone. The database compares the two tokens, because another
/// process may write at the same time; one that does not say when it was issued is never the newer one.
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

/// The table has a column of Better Auth's, under its own name or under the one that fits ours.
pub(super) async fn belongs_to_better_auth(connection: &mut Connection<'_>) -> QueryResult<bool> {
    has_column(connection, "'email_verified', 'emailVerified'").await
}

/// Whether the table has a column of one of these names. A statement of its own, because Citus does not promise to
/// take a catalog in one about a distributed table.
pub(super) async fn has_column(connection: &mut Connection<'_>, names: &str) -> QueryResult<bool> {
    let columns = match connection.is_sqlite() {
        true => "pragma_table_info('users') WHERE name",
        false => "pg_attribute WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname",
    };
    let exists = format!("EXISTS (SELECT 1 FROM {columns} IN ({names}))");
    on_both!(connection, |c| diesel::select(sql::<Bool>(&exists)).get_result(c))
}
