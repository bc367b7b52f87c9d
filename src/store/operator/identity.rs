//! Reads and changes the counter that assigns ids to new tasks. It is a sequence in PostgreSQL, and a row of
//! `sqlite_sequence` in SQLite.

use diesel::dsl::sql;
use diesel::sql_types::BigInt;

use crate::db::{Connection, on_both};
use crate::store::prelude::*;

const SEQUENCE: &str = "CAST(pg_get_serial_sequence('tasks', 'id') AS regclass)";

/// Returns the highest id that the counter has assigned or that a task has, or 0 if there is none.
pub async fn highest_id(connection: &mut Connection<'_>) -> QueryResult<i64> {
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
pub async fn advance_past(connection: &mut Connection<'_>, id: i64) -> QueryResult<()> {
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
