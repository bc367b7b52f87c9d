//! Reads complete rows of each table from one database, and inserts them into another.

use diesel::Insertable;
use diesel::dsl::sql;
use diesel::sql_types::{Bool, Double, Nullable, Text};

use crate::db::timestamp::DbTimestamp;
use crate::db::{Connection, on_both};
use crate::store::prelude::*;
use crate::store::schema::{idempotency_keys, tasks, users};
use crate::store::tasks::{Row, columns};
use crate::store::users::has_column;

/// The maximum number of rows in a batch. SQLite accepts 32,766 bind values in a statement, and each task has
/// eleven.
const BATCH_ROWS: i64 = 2_500;

#[derive(Clone, Queryable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct UserRow {
    id: String,
    email: Option<String>,
    name: Option<String>,
    created_at: DbTimestamp,
    claims_issued_at: Option<f64>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = tasks, treat_none_as_default_value = false)]
pub(super) struct TaskRow {
    user_id: String,
    #[diesel(embed)]
    task: Row,
    title_key: Vec<u8>,
    keyed_title: String,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
pub struct KeyRow {
    user_id: String,
    key: String,
    fingerprint: Vec<u8>,
    task_id: i64,
    answer: Vec<u8>,
    created_at: DbTimestamp,
}

/// Returns the next batch of users in the order of their ids. The empty string precedes every id.
pub async fn users_after(
    connection: &mut Connection<'_>,
    last: Option<&UserRow>,
) -> QueryResult<Vec<UserRow>> {
    let id = last.map_or("", |last| &last.id);
    // Better Auth's table does not have this column, nor does a table of version 0.1.0.
    let claims = match has_column(connection, "'claims_issued_at'").await? {
        true => "claims_issued_at",
        false => "CAST(NULL AS double precision)",
    };
    let rows = users::table
        .filter(users::id.gt(id))
        .order(users::id)
        .limit(BATCH_ROWS)
        .select((
            users::id,
            users::email,
            users::name,
            users::created_at,
            sql::<Nullable<Double>>(claims),
        ));
    on_both!(connection, |c| rows.load(c))
}

pub(super) async fn tasks_after(
    connection: &mut Connection<'_>,
    last: Option<&TaskRow>,
) -> QueryResult<Vec<TaskRow>> {
    let id = last.map_or(i64::MIN, |last| last.task.id);
    let rows = tasks::table
        .filter(tasks::id.gt(id))
        .order(tasks::id)
        .limit(BATCH_ROWS)
        .select((tasks::user_id, columns(), tasks::title_key, tasks::keyed_title));
    on_both!(connection, |c| rows.load(c))
}

pub async fn keys_after(connection: &mut Connection<'_>, last: Option<&KeyRow>) -> QueryResult<Vec<KeyRow>> {
    let (user_id, key) = last.map_or(("", ""), |last| (&last.user_id, &last.key));
    let later = sql::<Bool>("(user_id, key) > (")
        .bind::<Text, _>(user_id)
        .sql(", ")
        .bind::<Text, _>(key)
        .sql(")");
    let rows = idempotency_keys::table
        .filter(later)
        .order((idempotency_keys::user_id, idempotency_keys::key))
        .limit(BATCH_ROWS);
    on_both!(connection, |c| rows.load(c))
}

/// Inserts users. A row that exists already is kept, because it may come from a newer token.
pub async fn insert_users(connection: &mut Connection<'_>, rows: &[UserRow]) -> QueryResult<usize> {
    let inserted = insert_new_users(connection, rows).await?;
    if inserted == rows.len() {
        return Ok(inserted);
    }
    // Rows were not inserted if they existed already, or if their email belonged to another row. In the second case,
    // they are inserted without their email, as a new user would be. Rows that exist by now are not changed.
    let without_email = |row: &UserRow| UserRow {
        email: None,
        ..row.clone()
    };
    let rows: Vec<_> = rows.iter().map(without_email).collect();
    insert_new_users(connection, &rows).await
}

async fn insert_new_users(connection: &mut Connection<'_>, rows: &[UserRow]) -> QueryResult<usize> {
    on_both!(connection, |c| diesel::insert_into(users::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(c))
}

pub(super) async fn insert_tasks(connection: &mut Connection<'_>, rows: &[TaskRow]) -> QueryResult<usize> {
    on_both!(connection, |c| diesel::insert_into(tasks::table)
        .values(rows)
        .execute(c))
}

/// Inserts idempotency keys. A key that exists already is kept, because a client may have received its response.
pub async fn insert_keys(connection: &mut Connection<'_>, rows: &[KeyRow]) -> QueryResult<usize> {
    on_both!(connection, |c| diesel::insert_into(idempotency_keys::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(c))
}
