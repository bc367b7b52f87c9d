//! Where the next task's id comes from: a sequence in PostgreSQL, the table `sqlite_sequence` in SQLite.

use diesel::dsl::sql;
use diesel::sql_types::BigInt;

use crate::db::{Connection, on_both};
use crate::store::prelude::*;

const SEQUENCE: &str = "CAST(pg_get_serial_sequence('tasks', 'id') AS regclass)";

/// The highest id that was ever assigned, even if its task was deleted.
pub async fn highest_id(connection: &mut Connection<'_>) -> QueryResult<i64> {
    let given_out = match connection.is_sqlite() {
        true => "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks')".into(),
        false => format!("coalesce(pg_sequence_last_value({SEQUENCE}), 0)"),
    };
    let given_out = on_both!(connection, |c| diesel::select(sql::<BigInt>(&given_out))
        .get_result(c))?;
    // Other programs may have inserted tasks with ids of their own choice.
    let in_use = "(SELECT coalesce(max(id), 0) FROM tasks)";
    let in_use: i64 = on_both!(connection, |c| diesel::select(sql::<BigInt>(in_use))
        .get_result(c))?;
    Ok(in_use.max(given_out))
}

/// Makes new tasks get ids above this one.
pub async fn advance_past(connection: &mut Connection<'_>, id: i64) -> QueryResult<()> {
    // A sequence has no value below 1, so an empty table needs no change.
    if id < 1 {
        return Ok(());
    }
    match connection.is_sqlite() {
        true => {
            let sql = format!(
                "DELETE FROM sqlite_sequence WHERE name = 'tasks'; \
                 INSERT INTO sqlite_sequence (name, seq) VALUES ('tasks', {id})"
            );
            connection.batch_execute(&sql).await
        }
        false => {
            connection
                .batch_execute(&format!("SELECT setval({SEQUENCE}, {id})"))
                .await
        }
    }
}
