//! Where the next task's id comes from: PostgreSQL's sequence, SQLite's table of them.

use diesel::dsl::sql;
use diesel::sql_types::BigInt;

use crate::db::{Connection, on_both};
use crate::store::prelude::*;

const SEQUENCE: &str = "CAST(pg_get_serial_sequence('tasks', 'id') AS regclass)";

/// The highest id that was ever given out, though its task may be gone.
pub async fn highest_id(connection: &mut Connection<'_>) -> QueryResult<i64> {
    let given_out = match connection.is_sqlite() {
        true => "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks')".into(),
        false => format!("coalesce(pg_sequence_last_value({SEQUENCE}), 0)"),
    };
    let given_out = on_both!(connection, |c| diesel::select(sql::<BigInt>(&given_out))
        .get_result(c))?;
    // Other programs insert ids of their own.
    let in_use = "(SELECT coalesce(max(id), 0) FROM tasks)";
    let in_use: i64 = on_both!(connection, |c| diesel::select(sql::<BigInt>(in_use))
        .get_result(c))?;
    Ok(in_use.max(given_out))
}

/// From now on, new tasks get higher ids than this.
pub async fn advance_past(connection: &mut Connection<'_>, id: i64) -> QueryResult<()> {
    // A sequence has no value below 1, and begins there by itself.
    if id < 1 {
        return Ok(());
    }
    match connection.is_sqlite() {
        true => {
            let sql = format!(
                "DELETE FROM sqlite_sequence WHERE name = 'tasks'; \
                 INSERT INTO sqlite_sequence (name, seq) VALUES ('tasks', {id})"
            );
            connection.batch(&sql).await
        }
        false => {
            connection
                .batch(&format!("SELECT setval({SEQUENCE}, {id})"))
                .await
        }
    }
}
