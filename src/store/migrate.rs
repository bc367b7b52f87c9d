//! The tables are made at start, on either database.

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Connection, Inner, on_both};
use super::error::StoreError;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Any number will do, as long as all replicas use the same.
const LOCK: i64 = 0x746f_646f_6462;

/// Safe when many replicas start at once: one applies, the others wait and find nothing to do. The lock
/// belongs to the transaction and not to the session, so it holds behind a transaction pooler as well.
pub(super) fn apply(conn: &mut Connection) -> Result<(), StoreError> {
    let outcome: diesel::migration::Result<()> = match &mut conn.inner {
        Inner::Postgres(conn) => conn.transaction(|conn| {
            // Building an index may take longer than any call may.
            conn.batch_execute(&format!(
                "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
            ))?;
            run(conn, POSTGRES)
        }),
        Inner::Sqlite(conn) => conn.immediate_transaction(|conn| {
            skip_claims_issued_at(conn)?;
            run(conn, SQLITE)
        }),
    };
    outcome.map_err(|error| StoreError::Unavailable(format!("the migrations cannot be applied: {error}")))
}

/// A table that belongs to Better Auth already gets no column of ours. SQLite has no conditional
/// `ALTER TABLE`, so that migration counts as applied there.
fn skip_claims_issued_at(conn: &mut SqliteConnection) -> diesel::migration::Result<()> {
    // Creates the table of migrations where it is missing.
    conn.applied_migrations()?;
    diesel::sql_query(
        "INSERT OR IGNORE INTO __diesel_schema_migrations (version) \
         SELECT '20261126000000' FROM pragma_table_info('users') \
         WHERE name IN ('email_verified', 'emailVerified') LIMIT 1",
    )
    .execute(conn)?;
    Ok(())
}

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// All that this version migrates is done, and nobody has taken the tables away since.
pub(super) fn is_applied(conn: &mut Connection) -> QueryResult<bool> {
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let applied: Vec<String> = on_both!(conn, |c| applied.load(c))?;
    conn.batch(
        "SELECT 1 FROM users WHERE 1 = 0; SELECT 1 FROM tasks WHERE 1 = 0; \
         SELECT 1 FROM idempotency_keys WHERE 1 = 0",
    )?;
    let ours: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().unwrap_or_default();
    let is_there = |version: String| applied.contains(&version);
    Ok(ours
        .iter()
        .all(|ours| is_there(ours.name().version().to_string())))
}

fn run<DB: diesel::backend::Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> diesel::migration::Result<()> {
    for version in conn.run_pending_migrations(migrations)? {
        log::info!("migration {version} is applied");
    }
    Ok(())
}
