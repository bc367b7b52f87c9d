//! Creates the tables and keeps them up to date.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::migration::{Migration, MigrationSource as _, Result as MigrationResult};
use diesel::pg::Pg;
use diesel::sqlite::SqliteConnection;
use diesel::{QueryDsl as _, QueryResult};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::runtime::Builder;

use super::connection::{Connection, on_both};
use super::error::StoreError;
use super::postgres::Connector;
use super::sqlite::SqliteHandle;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Fails if a table is missing, which a recorded migration does not rule out: somebody may have dropped it since.
const READ_EACH_TABLE: &str = "SELECT 1 FROM users WHERE 1 = 0; SELECT 1 FROM tasks WHERE 1 = 0; \
                               SELECT 1 FROM idempotency_keys WHERE 1 = 0";

/// The key of the advisory lock. All replicas must use the same number.
const LOCK: i64 = 0x746f_646f_6462;

/// Blocks its thread, as Diesel's migrations do, and creates a runtime: it must be called outside of any other
/// runtime.
///
/// Several replicas may call this at once. One of them migrates, and the others wait and find nothing to do.
/// The lock belongs to the transaction and not to the session, so it works behind a transaction pooler as well.
pub fn apply_to_postgres(connector: &Connector) -> Result<(), StoreError> {
    let run = || -> MigrationResult<()> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let checked = runtime.block_on(connector.open())?;
        // Drives the connection until it is dropped.
        let _shutdown = checked.shutdown;
        let client = runtime.block_on(AsyncPgConnection::try_from(checked.client))?;
        let _context = runtime.enter();
        let mut connection = AsyncConnectionWrapper::<AsyncPgConnection>::from(client);
        // A role that may not create tables can serve once another role has created them.
        let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        let versions: QueryResult<Vec<String>> = diesel::RunQueryDsl::load(versions, &mut connection);
        if versions.is_ok_and(|versions| is_complete(&versions)) {
            return Ok(connection.batch_execute(READ_EACH_TABLE)?);
        }
        connection.transaction(|connection| {
            // Building an index may take longer than the statement timeout. Waiting for a lock must not take
            // long, because all calls to the table queue behind it; the migration fails instead and is retried.
            connection.batch_execute(&format!(
                "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK}); \
                 SET LOCAL lock_timeout = '4s'"
            ))?;
            run_pending(connection, POSTGRES)?;
            Ok(connection.batch_execute(READ_EACH_TABLE)?)
        })
    };
    run().map_err(failed)
}

pub fn apply_to_sqlite(connection: &mut SqliteHandle) -> Result<(), StoreError> {
    let inner = &mut connection.inner;
    let outcome = inner.immediate_transaction(|inner| {
        skip_claims_issued_at(inner)?;
        run_pending(inner, SQLITE)?;
        Ok(inner.batch_execute(READ_EACH_TABLE)?)
    });
    connection.broken = outcome.is_err();
    outcome.map_err(failed)
}

/// Better Auth's table gets no column of ours. SQLite has no conditional `ALTER TABLE`, so the migration is
/// only recorded as applied.
fn skip_claims_issued_at(connection: &mut SqliteConnection) -> MigrationResult<()> {
    // Creates the table of migrations if it is missing.
    connection.applied_migrations()?;
    let skip = diesel::sql_query(
        "INSERT OR IGNORE INTO __diesel_schema_migrations (version) \
         SELECT '20261126000000' FROM pragma_table_info('users') \
         WHERE name IN ('email_verified', 'emailVerified') LIMIT 1",
    );
    diesel::RunQueryDsl::execute(skip, connection)?;
    Ok(())
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Unavailable(format!("the migrations cannot be applied: {error}"))
}

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Whether every migration of this version is applied and the tables still exist.
pub async fn is_applied(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let versions: Vec<String> = on_both!(connection, |c| versions.load(c))?;
    connection.batch(READ_EACH_TABLE).await?;
    Ok(is_complete(&versions))
}

fn is_complete(applied: &[String]) -> bool {
    let ours: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().unwrap_or_default();
    ours.iter()
        .all(|ours| applied.contains(&ours.name().version().to_string()))
}

fn run_pending<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> MigrationResult<()> {
    for version in connection.run_pending_migrations(migrations)? {
        log::info!("migration {version} is applied");
    }
    Ok(())
}
