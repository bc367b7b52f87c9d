//! Copies all data of one database to another. The source is read in batches from one snapshot, and the target is
//! written in one transaction.

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};

use super::OperatorError;
use super::rows::{insert_keys, insert_tasks, insert_users, keys_after, tasks_after, users_after};
use crate::db::{Connection, Session, on_both};
use crate::store::prelude::*;
use crate::store::schema::{idempotency_keys, tasks, users};
use crate::store::users::belongs_to_better_auth;

#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub users: i64,
    pub tasks: i64,
    pub keys: i64,
}

/// Copies all rows. The target's tables must exist. After each batch, `progress` is called with the number of
/// copied rows and the total.
pub async fn copy(
    from: &mut Session,
    to: &mut Session,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Copied, OperatorError> {
    let mut to = to.connection();
    let read = async |source: &mut Connection<'_>| {
        source.disable_statement_timeout().await?;
        let write = async |target: &mut Connection<'_>| {
            target.disable_statement_timeout().await?;
            lock_and_check(target).await?;
            copy_all(source, target, progress).await
        };
        to.transaction(write).await
    };
    from.connection().snapshot(read).await
}

/// Fails if the target has tasks or its users table belongs to Better Auth. On PostgreSQL, this locks `users` and
/// `tasks`, so that nobody else writes to them until the transaction ends. On SQLite, the transaction itself
/// excludes other writers.
async fn lock_and_check(target: &mut Connection<'_>) -> Result<(), OperatorError> {
    if !target.is_sqlite() {
        target
            .batch_execute("LOCK TABLE users, tasks IN SHARE ROW EXCLUSIVE MODE")
            .await?;
    }
    if belongs_to_better_auth(target).await? {
        return Err(OperatorError::UnsuitableTarget(
            "the target's table `users` belongs to Better Auth",
        ));
    }
    let first = tasks::table.select(tasks::id).limit(1);
    let first: Vec<i64> = on_both!(target, |c| first.load(c))?;
    match first.is_empty() {
        true => Ok(()),
        false => Err(OperatorError::UnsuitableTarget("the target has tasks")),
    }
}

async fn copy_all(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Copied, OperatorError> {
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
    copy_rows(source, target, users_after, insert_users, &mut advance).await?;
    let indexes = drop_indexes(target).await?;
    copy_rows(source, target, tasks_after, insert_tasks, &mut advance).await?;
    for definition in &indexes {
        target.batch_execute(definition).await?;
    }
    copy_rows(source, target, keys_after, insert_keys, &mut advance).await?;
    let highest = highest_id(source).await?.max(highest_id(target).await?);
    advance_past(target, highest).await?;
    Ok(copied)
}

/// Copies the rows of a table in batches. `rows_after` reads the batch that follows a row, or the first batch.
async fn copy_rows<R>(
    source: &mut Connection<'_>,
    target: &mut Connection<'_>,
    rows_after: impl AsyncFn(&mut Connection<'_>, Option<&R>) -> QueryResult<Vec<R>>,
    insert: impl AsyncFn(&mut Connection<'_>, &[R]) -> QueryResult<usize>,
    advance: &mut impl FnMut(usize),
) -> QueryResult<()> {
    let mut batch = rows_after(source, None).await?;
    while !batch.is_empty() {
        insert(target, &batch).await?;
        advance(batch.len());
        batch = rows_after(source, batch.last()).await?;
    }
    Ok(())
}

/// Drops the indexes of `tasks`, and returns the statements that create them again. Building an index once takes a
/// third of the time of updating it for each row, and SQLite writes far fewer pages to its write-ahead log. This must
/// be called in the transaction of the insert, so that no other connection uses the table without its indexes.
async fn drop_indexes(connection: &mut Connection<'_>) -> QueryResult<Vec<String>> {
    // The indexes of primary keys and unique constraints are excluded, because they cannot be dropped.
    let indexes = match connection.is_sqlite() {
        true => {
            "SELECT '\"' || replace(name, '\"', '\"\"') || '\"', sql FROM sqlite_master \
             WHERE type = 'index' AND tbl_name = 'tasks' AND sql IS NOT NULL"
        }
        false => {
            "SELECT CAST(CAST(indexrelid AS regclass) AS text), pg_get_indexdef(indexrelid) FROM pg_index \
             WHERE indrelid = CAST('tasks' AS regclass) AND NOT indisunique"
        }
    };
    let indexes: Vec<(String, String)> = on_both!(connection, |c| sql::<(Text, Text)>(indexes).load(c))?;
    for (name, _) in &indexes {
        connection.batch_execute(&format!("DROP INDEX {name}")).await?;
    }
    Ok(indexes.into_iter().map(|(_, definition)| definition).collect())
}

/// The counter that assigns ids to new tasks in PostgreSQL. In SQLite, it is a row of `sqlite_sequence`.
const SEQUENCE: &str = "CAST(pg_get_serial_sequence('tasks', 'id') AS regclass)";

/// Returns the highest id that the counter has assigned or that a task has, or 0 if there is none.
async fn highest_id(connection: &mut Connection<'_>) -> QueryResult<i64> {
    let assigned = match connection.is_sqlite() {
        true => "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks')".into(),
        false => format!("coalesce(pg_sequence_last_value({SEQUENCE}), 0)"),
    };
    let assigned = on_both!(connection, |c| diesel::select(sql::<BigInt>(&assigned))
        .get_result(c))?;
    // Other programs may have inserted tasks with explicit ids, which do not change the counter.
    let in_use = "(SELECT coalesce(max(id), 0) FROM tasks)";
    let in_use: i64 = on_both!(connection, |c| diesel::select(sql::<BigInt>(in_use))
        .get_result(c))?;
    Ok(in_use.max(assigned))
}

/// Sets the counter, so that new tasks get ids above `id`.
async fn advance_past(connection: &mut Connection<'_>, id: i64) -> QueryResult<()> {
    // A sequence cannot be set below 1, and no id below 1 is assigned anyway.
    if id < 1 {
        return Ok(());
    }
    let sql = match connection.is_sqlite() {
        true => format!(
            "DELETE FROM sqlite_sequence WHERE name = 'tasks'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('tasks', {id})"
        ),
        false => format!("SELECT setval({SEQUENCE}, {id})"),
    };
    connection.batch_execute(&sql).await
}
