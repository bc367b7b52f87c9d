//! The users table: a row for everybody who ever called, following what the tokens say.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

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
    seen: Cache<UserId, Seen>,
    hasher: RandomState,
    /// When users whose address somebody else took were last tried to be given it back.
    reclaimed: Cache<UserId, Instant>,
}

/// What a user's tokens said, each claim as the newest that made it.
#[derive(Clone, Copy, Default)]
struct Seen {
    email: Option<Claim>,
    name: Option<Claim>,
}

#[derive(Clone, Copy)]
struct Claim {
    hash: u64,
    /// When its token was issued, if that said so.
    issued_at: Option<f64>,
}

/// Both are made, and it is known which of them came later.
fn is_newer(one: Option<Claim>, other: Option<Claim>) -> bool {
    let issued_at = |claim: Option<Claim>| claim.and_then(|claim| claim.issued_at);
    matches!((issued_at(one), issued_at(other)), (Some(one), Some(other)) if one > other)
}

/// An address that was taken is mostly still taken.
const RECLAIM_AFTER: Duration = Duration::from_secs(10);

impl Default for KnownUsers {
    fn default() -> Self {
        Self {
            seen: Cache::new(50_000),
            hasher: RandomState::new(),
            reclaimed: Cache::new(1_000),
        }
    }
}

impl KnownUsers {
    /// There is nothing in this token that has not been seen, or that a newer one has not overruled.
    pub fn knows(&self, user: &AuthenticatedUser) -> bool {
        let Some(seen) = self.seen.get(user.id()) else {
            return false;
        };
        let own = self.claims_of(user);
        let hash = |claim: Option<Claim>| claim.map(|claim| claim.hash);
        let is_known = |own: Option<Claim>, seen: Option<Claim>| {
            own.is_none() || hash(own) == hash(seen) || is_newer(seen, own)
        };
        let known = is_known(own.email, seen.email) && is_known(own.name, seen.name);
        // The same, said again: older tokens are older than this one now.
        if known && (is_newer(own.email, seen.email) || is_newer(own.name, seen.name)) {
            self.remember(&self.heard(user));
        }
        known
    }

    /// The user without the claims that a newer token made, to this process: with two of them in use, the
    /// older one must not undo the other's.
    pub fn heard(&self, user: &AuthenticatedUser) -> AuthenticatedUser {
        let seen = self.seen.get(user.id()).unwrap_or_default();
        let own = self.claims_of(user);
        user.silent_about(is_newer(seen.email, own.email), is_newer(seen.name, own.name))
    }

    /// Of a user as `heard`: what it says holds.
    pub fn remember(&self, user: &AuthenticatedUser) {
        let seen = self.seen.get(user.id()).unwrap_or_default();
        let own = self.claims_of(user);
        let seen = Seen {
            email: own.email.or(seen.email),
            name: own.name.or(seen.name),
        };
        self.seen.insert(user.id().clone(), seen);
    }

    pub fn may_reclaim(&self, user: &AuthenticatedUser) -> bool {
        let last = self.reclaimed.get(user.id());
        let may = last.is_none_or(|last| last.elapsed() >= RECLAIM_AFTER);
        if may {
            self.reclaimed.insert(user.id().clone(), Instant::now());
        }
        may
    }

    fn claims_of(&self, user: &AuthenticatedUser) -> Seen {
        let claim = |text| Claim {
            hash: self.hasher.hash_one::<&str>(text),
            issued_at: user.issued_at(),
        };
        Seen {
            email: user.email().map(claim),
            name: user.name().map(claim),
        }
    }
}

pub(super) fn exists(conn: &mut Connection, id: &UserId) -> QueryResult<bool> {
    let found = users::table.find(id.as_str()).select(users::id);
    let found: Option<String> = on_both!(conn, |c| found.first(c)).optional()?;
    Ok(found.is_some())
}

/// A user's row, beside what the user's token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerRow {
    Agrees,
    Differs,
    /// Somebody with the same address took it over, and is not to be robbed in turn by each list.
    WithoutEmail,
}

impl OwnerRow {
    /// A claim that a token does not make changes nothing: Better Auth can be told to leave them out, and
    /// where it owns the table, `email` and `name` must not be null.
    pub fn compared(user: &AuthenticatedUser, email: Option<&str>, name: Option<&str>) -> Self {
        let same = |claim: Option<&str>, stored: Option<&str>| claim.is_none() || claim == stored;
        if !same(user.name(), name) {
            return Self::Differs;
        }
        match email {
            _ if same(user.email(), email) => Self::Agrees,
            None => Self::WithoutEmail,
            Some(_) => Self::Differs,
        }
    }
}

/// Makes the row, or brings it up to date.
pub(super) fn ensure(conn: &mut Connection, user: &AuthenticatedUser) -> QueryResult<()> {
    let row = users::table
        .find(user.id().as_str())
        .select((users::email, users::name));
    let row: Option<(Option<String>, Option<String>)> = on_both!(conn, |c| row.first(c)).optional()?;
    if row.is_some_and(|(email, name)| {
        OwnerRow::compared(user, email.as_deref(), name.as_deref()) == OwnerRow::Agrees
    }) {
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

/// Gives a user the token's address, unless somebody else has it.
pub(super) fn reclaim_email(conn: &mut Connection, user: &AuthenticatedUser) -> QueryResult<()> {
    let row = users::table
        .find(user.id().as_str())
        .filter(users::email.is_null());
    let outcome = on_both!(conn, |c| {
        diesel::update(row).set(users::email.eq(user.email())).execute(c)
    });
    match outcome {
        Err(error) if !is_kind(&error, DatabaseErrorKind::UniqueViolation) => Err(error),
        _ => Ok(()),
    }
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
