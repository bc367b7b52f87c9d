//! The users table: a row for everybody who ever called, following what the tokens say.

use std::hash::{BuildHasher, RandomState};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::sql_types::{Nullable, Text};
use quick_cache::sync::Cache;

use super::connection::{Connection, on_both};
use super::error::is_kind;
use super::moment::At;
use super::schema::users;
use crate::auth::AuthenticatedUser;
use crate::domain::{Timestamp, UserId};

/// Users whose rows are known to say what their tokens say, so that a call needs no statement for that.
/// Another process may have written since; a list looks at the row, and finds that out.
///
/// Bounded; whoever falls out costs one statement at the next call.
pub(super) struct KnownUsers {
    seen: Cache<UserId, u64>,
    hasher: RandomState,
}

impl Default for KnownUsers {
    fn default() -> Self {
        Self {
            seen: Cache::new(50_000),
            hasher: RandomState::new(),
        }
    }
}

impl KnownUsers {
    pub fn knows(&self, user: &AuthenticatedUser) -> bool {
        self.seen.get(user.id()) == Some(self.claims_of(user))
    }

    pub fn remember(&self, user: &AuthenticatedUser) {
        self.seen.insert(user.id().clone(), self.claims_of(user));
    }

    fn claims_of(&self, user: &AuthenticatedUser) -> u64 {
        self.hasher.hash_one((user.email(), user.name()))
    }
}

pub(super) fn exists(conn: &mut Connection, id: &UserId) -> QueryResult<bool> {
    let found = users::table.find(id.as_str()).select(users::id);
    let found: Option<String> = on_both!(conn, |c| found.first(c)).optional()?;
    Ok(found.is_some())
}

/// Whether a row says what the token says.
///
/// A claim that a token does not make changes nothing: Better Auth can be told to leave them out, and
/// where it owns the table, `email` and `name` must not be null.
pub(super) fn agrees(user: &AuthenticatedUser, email: Option<&str>, name: Option<&str>) -> bool {
    let same = |claim: Option<&str>, stored: Option<&str>| claim.is_none() || claim == stored;
    same(user.email(), email) && same(user.name(), name)
}

/// Makes the row, or brings it up to date.
pub(super) fn ensure(conn: &mut Connection, user: &AuthenticatedUser) -> QueryResult<()> {
    let row = users::table
        .find(user.id().as_str())
        .select((users::email, users::name));
    let row: Option<(Option<String>, Option<String>)> = on_both!(conn, |c| row.first(c)).optional()?;
    if row.is_some_and(|(email, name)| agrees(user, email.as_deref(), name.as_deref())) {
        return Ok(());
    }
    // Of several who claim the same address at once, each round lets one through; the last has it.
    for _ in 0..20 {
        match upsert(conn, user, user.email()) {
            Err(error) if is_kind(&error, DatabaseErrorKind::UniqueViolation) => release_email(conn, user)?,
            outcome => return outcome,
        }
    }
    log::warn!(
        "user {:?} is kept without an email: others go on claiming it",
        user.id()
    );
    upsert(conn, user, None)
}

fn upsert(conn: &mut Connection, user: &AuthenticatedUser, email: Option<&str>) -> QueryResult<()> {
    let row = (
        users::id.eq(user.id().as_str()),
        users::email.eq(email),
        users::name.eq(user.name()),
        users::created_at.eq(At(Timestamp::now())),
    );
    on_both!(conn, |c| {
        diesel::insert_into(users::table)
            .values(row)
            .on_conflict(users::id)
            .do_update()
            .set((
                users::email.eq(sql::<Nullable<Text>>("coalesce(excluded.email, users.email)")),
                users::name.eq(sql::<Nullable<Text>>("coalesce(excluded.name, users.name)")),
            ))
            .execute(c)
    })?;
    Ok(())
}

/// The token is the authority on who has an address: an older row that holds it lets go. The one
/// statement that looks across users, and it runs only where a unique index on `email` complained; a
/// database that is distributed by user has none.
fn release_email(conn: &mut Connection, user: &AuthenticatedUser) -> QueryResult<()> {
    let holder = users::table
        .filter(users::email.eq(user.email()))
        .filter(users::id.ne(user.id().as_str()));
    on_both!(conn, |c| {
        diesel::update(holder)
            .set(users::email.eq(None::<String>))
            .execute(c)
    })?;
    Ok(())
}
