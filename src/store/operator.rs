//! The queries of the commands that read or change the data of any user. These commands verify no user, so the
//! code that serves requests must not use this module. `tests/architecture.rs` checks that.

mod copy;
mod rows;

use std::io::{self, Write};

use serde::Serialize;

pub use self::copy::{Copied, copy};
use super::prelude::*;
use super::schema::{idempotency_keys, tasks, users};
use super::tasks::{Row, columns, owned};
use super::users::belongs_to_better_auth;
pub use crate::db::Session;
use crate::db::timestamp::DbTimestamp;
use crate::db::{Connection, StoreError, on_both};
use crate::domain::{Task, Timestamp, UserId};

/// The maximum number of tasks in a batch of an export.
const BATCH_ROWS: i64 = 500;

/// A row of `users`, as an export shows it.
#[derive(Queryable, Serialize)]
pub struct User {
    id: String,
    email: Option<String>,
    name: Option<String>,
    #[diesel(deserialize_as = DbTimestamp)]
    created_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Output(#[from] io::Error),
    #[error("{0}: nothing was copied")]
    UnsuitableTarget(&'static str),
}

impl From<diesel::result::Error> for OperatorError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

pub struct Erased {
    pub tasks: i64,
    /// Whether the user's row was kept, because the table belongs to Better Auth.
    pub row_kept: bool,
}

/// The commands for a single user.
impl Session {
    /// Writes the user and the user's tasks as JSON, from one snapshot. `write_tasks` writes tasks as elements of an
    /// array; its last argument is true for the first ones. Returns whether the user exists.
    pub async fn export(
        &mut self,
        user: &UserId,
        write_tasks: fn(&mut Vec<u8>, &UserId, &[Task], bool),
        out: &mut impl Write,
    ) -> Result<bool, OperatorError> {
        let read = async |connection: &mut Connection<'_>| {
            connection.disable_statement_timeout().await?;
            let Some(row) = find(connection, user).await? else {
                return Ok(false);
            };
            let row = serde_json::to_string(&row).map_err(io::Error::from)?;
            write!(out, "{{\"user\":{row},\"tasks\":[")?;
            let mut after = i64::MIN;
            loop {
                let tasks = tasks_after(connection, user, after).await?;
                let mut json = Vec::new();
                write_tasks(&mut json, user, &tasks, after == i64::MIN);
                out.write_all(&json)?;
                let Some(last) = tasks.last() else { break };
                after = last.id.0;
            }
            out.write_all(b"]}\n")?;
            out.flush()?;
            Ok(true)
        };
        self.connection().snapshot(read).await
    }

    /// Returns the number of the user's tasks, or `None` if the user does not exist.
    pub async fn count_tasks(&mut self, user: &UserId) -> Result<Option<i64>, StoreError> {
        let connection = &mut self.connection();
        if find(connection, user).await?.is_none() {
            return Ok(None);
        }
        let count = owned(user).count();
        let count: i64 = on_both!(connection, |c| count.get_result(c))?;
        Ok(Some(count))
    }

    /// Deletes everything that is stored about a user, except for a row in Better Auth's table. Returns `None` if
    /// the user does not exist.
    pub async fn erase(&mut self, user: &UserId) -> Result<Option<Erased>, StoreError> {
        let erase = async |connection: &mut Connection<'_>| {
            connection.disable_statement_timeout().await?;
            // This read locks the table until the transaction ends. So Better Auth's migration cannot run between
            // the check whether the table belongs to Better Auth and the deletion.
            if find(connection, user).await?.is_none() {
                return Ok(None);
            }
            let row_kept = belongs_to_better_auth(connection).await?;
            let keys = idempotency_keys::table.filter(idempotency_keys::user_id.eq(user.as_str()));
            on_both!(connection, |c| diesel::delete(keys).execute(c))?;
            let tasks = on_both!(connection, |c| diesel::delete(owned(user)).execute(c))?;
            if !row_kept {
                let row = users::table.find(user.as_str());
                on_both!(connection, |c| diesel::delete(row).execute(c))?;
            }
            Ok(Some(Erased {
                tasks: tasks as i64,
                row_kept,
            }))
        };
        self.connection().transaction(erase).await
    }
}

async fn find(connection: &mut Connection<'_>, user: &UserId) -> QueryResult<Option<User>> {
    let row =
        users::table
            .find(user.as_str())
            .select((users::id, users::email, users::name, users::created_at));
    on_both!(connection, |c| row.first(c)).optional()
}

async fn tasks_after(connection: &mut Connection<'_>, user: &UserId, after: i64) -> QueryResult<Vec<Task>> {
    let tasks = owned(user)
        .filter(tasks::id.gt(after))
        .order(tasks::id)
        .limit(BATCH_ROWS)
        .select(columns());
    let rows: Vec<Row> = on_both!(connection, |c| tasks.load(c))?;
    Ok(rows.into_iter().map(Task::from).collect())
}
