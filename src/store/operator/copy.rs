//! Copies all data of one database to another. The source is read in batches from one snapshot, and the target is
//! written in one transaction.

use super::Operator;
use super::identity::{advance_past, highest_id};
use super::indexes::{create_indexes, drop_indexes};
use super::rows;
use crate::db::{Connection, StoreError, on_both};
use crate::store::prelude::*;
use crate::store::schema::{idempotency_keys, tasks, users};
use crate::store::users::belongs_to_better_auth;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the target has tasks: nothing was copied")]
    HasTasks,
    #[error("the target's table `users` belongs to Better Auth: nothing was copied")]
    BelongsToBetterAuth,
    #[error("{0}")]
    Store(StoreError),
}

impl From<diesel::result::Error> for CopyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub users: i64,
    pub tasks: i64,
    pub keys: i64,
}

/// Copies all rows. The target's tables must exist. After each batch, `progress` is called with the number of
/// copied rows and the total.
pub async fn copy(
    from: &mut Operator,
    to: &mut Operator,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Copied, CopyError> {
    let mut to = to.session.connection();
    let read = async |source: &mut Connection<'_>| {
        source.disable_statement_timeout().await?;
        let write = async |target: &mut Connection<'_>| {
            target.disable_statement_timeout().await?;
            lock_and_check(target).await?;
            copy_all(source, target, progress).await
        };
        to.transaction(write).await
    };
    from.session.connection().snapshot(read).await
}

/// Fails if the target has tasks or its users table belongs to Better Auth. On PostgreSQL, this locks `users` and
/// `tasks`, so that nobody else writes to them until the transaction ends. On SQLite, the transaction itself
/// excludes other writers.
async fn lock_and_check(target: &mut Connection<'_>) -> Result<(), CopyError> {
    if !target.is_sqlite() {
        target
            .batch_execute("LOCK TABLE users, tasks IN SHARE ROW EXCLUSIVE MODE")
            .await?;
    }
    if belongs_to_better_auth(target).await? {
        return Err(CopyError::BelongsToBetterAuth);
    }
    let first = tasks::table.select(tasks::id).limit(1);
    let first: Vec<i64> = on_both!(target, |c| first.load(c))?;
    match first.is_empty() {
        true => Ok(()),
        false => Err(CopyError::HasTasks),
    }
}

async fn copy_all(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Copied, CopyError> {
    let copied = Copied {
        users: on_both!(source, |c| users::table.count().get_result(c))?,
        tasks: on_both!(source, |c| tasks::table.count().get_result(c))?,
        keys: on_both!(source, |c| idempotency_keys::table.count().get_result(c))?,
    };
    let all = copied.users + copied.tasks + copied.keys;
    let mut done = 0;
    let mut advance = |rows: usize| {
        done += rows as i64;
        progress(done, all);
    };
    copy_users(source, target, &mut advance).await?;
    let indexes = drop_indexes(target).await?;
    copy_tasks(source, target, &mut advance).await?;
    create_indexes(target, &indexes).await?;
    copy_keys(source, target, &mut advance).await?;
    let highest = highest_id(source).await?.max(highest_id(target).await?);
    advance_past(target, highest).await?;
    Ok(copied)
}

async fn copy_users(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    advance: &mut impl FnMut(usize),
) -> QueryResult<()> {
    let mut after = String::new();
    loop {
        let mut batch = rows::users_after(source, &after).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after.clone_from(&last.id);
        rows::insert_users(target, &mut batch).await?;
        advance(batch.len());
    }
}

async fn copy_tasks(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    advance: &mut impl FnMut(usize),
) -> QueryResult<()> {
    let mut after = i64::MIN;
    loop {
        let batch = rows::tasks_after(source, after).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = last.task.id;
        rows::insert_tasks(target, &batch).await?;
        advance(batch.len());
    }
}

async fn copy_keys(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    advance: &mut impl FnMut(usize),
) -> QueryResult<()> {
    let (mut user_id, mut key) = (String::new(), String::new());
    loop {
        let batch = rows::keys_after(source, &user_id, &key).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        user_id.clone_from(&last.user_id);
        key.clone_from(&last.key);
        rows::insert_keys(target, &batch).await?;
        advance(batch.len());
    }
}
