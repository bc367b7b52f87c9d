//! The users table. It has a row for each user who has made a call that uses the database, with the claims of the
//! user's newest token. If the table belongs to Better Auth, the service only reads it.

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

/// The maximum number of cached users. The next call of an evicted user executes at least one more statement.
const MAX_KNOWN_USERS: usize = 50_000;

/// A new token with the same claims as the last compared token is compared with the row only if it was issued at
/// least this much later. The comparison is needed because another process may have changed the row. The delay is
/// needed because a frontend may fetch a new token for each request of a page.
const RECHECK_AFTER_SECONDS: f64 = 2.0;

/// A cache of the users who are known to have a row. For each user it describes the last token that was compared with
/// the row, so that most calls need no query for the row.
pub struct KnownUsers {
    compared: Cache<UserId, Compared>,
}

#[derive(Clone, Copy)]
struct Compared {
    claims_hash: u64,
    issued_at: Option<f64>,
}

impl Default for KnownUsers {
    fn default() -> Self {
        Self {
            compared: Cache::new(MAX_KNOWN_USERS),
        }
    }
}

impl KnownUsers {
    /// Whether the user is known to have a row, and the row need not be compared with this token.
    pub fn is_up_to_date(&self, user: &AuthenticatedUser) -> bool {
        let Some(compared) = self.compared.get(&user.id) else {
            return false;
        };
        // A token without `iat` never changes an existing row.
        let Some(issued_at) = user.issued_at else {
            return true;
        };
        let later_by = compared
            .issued_at
            .map_or(f64::INFINITY, |compared| issued_at - compared);
        later_by < 0.0 || (later_by < RECHECK_AFTER_SECONDS && user.claims_hash == compared.claims_hash)
    }

    pub fn insert(&self, user: &AuthenticatedUser) {
        let compared = Compared {
            claims_hash: user.claims_hash,
            issued_at: user.issued_at,
        };
        self.compared.insert(user.id.clone(), compared);
    }

    pub fn invalidate(&self, id: &UserId) {
        self.compared.remove(id);
    }
}

/// How a user's row differs from the claims of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    /// The row remains as it is, because it agrees with the claims or because the table belongs to Better Auth.
    UpToDate,
    /// The table belongs to Better Auth and has no row for the user.
    Unknown,
    Missing,
    Outdated,
}

/// Compares the user's row with the claims. This only reads, so it does not wait for SQLite's write lock.
pub(super) async fn compare(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
) -> QueryResult<RowState> {
    let row = users::table
        .find(user.id.as_str())
        .select((users::email, users::name));
    let row: Option<(Option<String>, Option<String>)> = on_both!(connection, |c| row.first(c)).optional()?;
    let agrees = |claim: Option<&str>, stored: &Option<String>| claim.is_none() || claim == stored.as_deref();
    let is_up_to_date = row.as_ref().is_some_and(|(email, name)| {
        agrees(user.email.as_deref(), email) && agrees(user.name.as_deref(), name)
    });
    let is_final = is_up_to_date || belongs_to_better_auth(connection).await?;
    Ok(match (row.is_some(), is_final) {
        (true, true) => RowState::UpToDate,
        (true, false) => RowState::Outdated,
        (false, true) => RowState::Unknown,
        (false, false) => RowState::Missing,
    })
}

/// Inserts the user's row or updates its claims, unless the table belongs to Better Auth. Returns whether the user
/// has a row afterwards.
pub(super) async fn ensure_row(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    exists: bool,
) -> QueryResult<bool> {
    let outcome = match write(connection, user, user.email.as_deref(), exists).await {
        // The unique index reports that the email belongs to another row, so the row is written without the email. On
        // a distributed database there is no such index, and therefore no conflict. No query looks for the email
        // before the write, because it would have to be sent to every node.
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
        // An upsert is not used. If another program has added a NOT NULL column, an upsert would fail even for a
        // user who has a row.
        if exists || insert(connection, user, email).await? == 0 {
            update_claims(connection, user, email).await?;
        }
        // The table's ownership is checked after the write, because Better Auth's migration may run at any time.
        // The write locks the table, so that the migration cannot run between this check and the end of the
        // transaction.
        match belongs_to_better_auth(connection).await? {
            true => Err(DieselError::RollbackTransaction),
            false => Ok(()),
        }
    };
    connection.transaction(write).await
}

/// Returns the number of inserted rows, which is zero if a parallel call has inserted the row.
async fn insert(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
) -> QueryResult<usize> {
    let row = (
        users::id.eq(user.id.as_str()),
        users::email.eq(email),
        users::name.eq(user.name.as_deref()),
        users::created_at.eq(DbTimestamp(Timestamp::now())),
        users::claims_issued_at.eq(user.issued_at),
    );
    on_both!(connection, |c| {
        diesel::insert_into(users::table)
            .values(row)
            .on_conflict(users::id)
            .do_nothing()
            .execute(c)
    })
}

/// Updates the claims that the token contains, unless the row comes from a newer token. The statement itself
/// compares the times at which the tokens were issued, because another process may write at the same time.
async fn update_claims(
    connection: &mut Connection<'_>,
    user: &AuthenticatedUser,
    email: Option<&str>,
) -> QueryResult<usize> {
    let Some(issued_at) = user.issued_at else {
        return Ok(0);
    };
    let claims = (
        email.map(|email| users::email.eq(email)),
        user.name.as_deref().map(|name| users::name.eq(name)),
        users::claims_issued_at.eq(issued_at),
    );
    let is_not_newer = users::claims_issued_at
        .is_null()
        .or(users::claims_issued_at.le(issued_at));
    let row = users::table.find(user.id.as_str()).filter(is_not_newer);
    on_both!(connection, |c| diesel::update(row).set(claims).execute(c))
}

/// Whether the users table belongs to Better Auth. This is the case if the table has Better Auth's column for
/// verified emails, which has one of two usual names.
pub(super) async fn belongs_to_better_auth(connection: &mut Connection<'_>) -> QueryResult<bool> {
    has_column(connection, "'email_verified', 'emailVerified'").await
}

/// Whether the users table has a column with one of these names. This is a separate statement, because Citus may
/// reject a statement that uses both a system catalog and a distributed table.
pub(super) async fn has_column(connection: &mut Connection<'_>, names: &str) -> QueryResult<bool> {
    let columns = match connection.is_sqlite() {
        true => "pragma_table_info('users') WHERE name",
        false => "pg_attribute WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname",
    };
    let exists = format!("EXISTS (SELECT 1 FROM {columns} IN ({names}))");
    on_both!(connection, |c| diesel::select(sql::<Bool>(&exists)).get_result(c))
}
