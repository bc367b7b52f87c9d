//! Complete rows of each table, as they are read from one database and inserted into the other.

use diesel::Insertable;
use diesel::dsl::sql;
use diesel::sql_types::{Bool, Double, Nullable, Text};

use crate::db::timestamp::DbTimestamp;
use crate::db::{Connection, on_both};
use crate::store::prelude::*;
use crate::store::schema::{idempotency_keys, tasks, users};
use crate::store::tasks::{Row, columns};
use crate::store::users::has_column;

/// How many rows are in memory at a time. SQLite accepts 32,766 bind values in a statement, and a task has
/// eleven.
const PORTION: i64 = 2_500;

#[derive(Queryable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct UserRow {
    pub id: String,
    pub email: Option<String>,
    name: Option<String>,
    created_at: DbTimestamp,
    claims_issued_at: Option<f64>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = tasks, treat_none_as_default_value = false)]
pub(super) struct TaskRow {
    user_id: String,
    #[diesel(embed)]
    pub(super) task: Row,
    title_key: Vec<u8>,
    keyed_title: String,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
pub struct KeyRow {
    pub user_id: String,
    pub key: String,
    fingerprint: Vec<u8>,
    task_id: i64,
    answer: Vec<u8>,
    created_at: DbTimestamp,
}

/// The rows whose ids follow `id`. The empty string comes before every id.
pub async fn users_after(connection: &mut Connection<'_>, id: &str) -> QueryResult<Vec<UserRow>> {
    // The column is missing in Better Auth's table and in one of version 0.1.0.
    let claims = match has_column(connection, "'claims_issued_at'").await? {
        true => "claims_issued_at",
        false => "CAST(NULL AS double precision)",
    };
    let rows = users::table
        .filter(users::id.gt(id))
        .order(users::id)
        .limit(PORTION)
        .select((
            users::id,
            users::email,
            users::name,
            users::created_at,
            sql::<Nullable<Double>>(claims),
        ));
    on_both!(connection, |c| rows.load(c))
}

pub(super) async fn tasks_after(connection: &mut Connection<'_>, id: i64) -> QueryResult<Vec<TaskRow>> {
    let rows = tasks::table
        .filter(tasks::id.gt(id))
        .order(tasks::id)
        .limit(PORTION)
        .select((tasks::user_id, columns(), tasks::title_key, tasks::keyed_title));
    on_both!(connection, |c| rows.load(c))
}

pub async fn keys_after(
    connection: &mut Connection<'_>,
    user_id: &str,
    key: &str,
) -> QueryResult<Vec<KeyRow>> {
    let later = sql::<Bool>("(user_id, key) > (")
        .bind::<Text, _>(user_id)
        .sql(", ")
        .bind::<Text, _>(key)
        .sql(")");
    let rows = idempotency_keys::table
        .filter(later)
        .order((idempotency_keys::user_id, idempotency_keys::key))
        .limit(PORTION);
    on_both!(connection, |c| rows.load(c))
}

/// An existing row is kept: a newer token may have written it.
pub async fn insert_users(connection: &mut Connection<'_>, rows: &mut [UserRow]) -> QueryResult<()> {
    let inserted = insert_new_users(connection, rows).await?;
    if inserted == rows.len() {
        return Ok(());
    }
    // The missing rows exist already, or another row has their email. Then the email is left out, as it is for
    // a new user.
    for row in &mut *rows {
        row.email = None;
    }
    insert_new_users(connection, rows).await.map(drop)
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

/// An existing key is kept, because it is newer.
pub async fn insert_keys(connection: &mut Connection<'_>, rows: &[KeyRow]) -> QueryResult<usize> {
    on_both!(connection, |c| diesel::insert_into(idempotency_keys::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(c))
}
