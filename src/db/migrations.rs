//! Applies the embedded migrations, which create and change the tables.

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

/// These statements fail if a table does not exist: somebody may have dropped it after its migration was applied.
const READ_EACH_TABLE: &str = "SELECT 1 FROM users WHERE 1 = 0; SELECT 1 FROM tasks WHERE 1 = 0; \
                               SELECT 1 FROM idempotency_keys WHERE 1 = 0";

/// The key of the advisory lock, which must be the same in all versions of the service.
const ADVISORY_LOCK_KEY: i64 = 0x746f_646f_6462;

/// Applies the pending migrations. This must not be called on a thread that runs an asynchronous runtime: it
/// creates a runtime of its own and blocks the thread.
///
/// Several replicas may migrate at the same time. One of them applies the migrations, and the others wait until
/// this is done and then have nothing to apply. The advisory lock belongs to the transaction and not to the
/// session, so it also works behind a transaction pooler.
pub fn apply_to_postgres(connector: &Connector) -> Result<(), StoreError> {
    let run = || -> MigrationResult<()> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let checked = runtime.block_on(connector.open())?;
        // The connection is driven until this sender is dropped.
        let _shutdown = checked.shutdown;
        let client = runtime.block_on(AsyncPgConnection::try_from(checked.client))?;
        let _context = runtime.enter();
        let mut connection = AsyncConnectionWrapper::<AsyncPgConnection>::from(client);
        // If all migrations are applied, nothing is executed that requires the privilege to create tables. So the
        // service can use a role without this privilege after another role has migrated.
        let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        let versions: QueryResult<Vec<String>> = diesel::RunQueryDsl::load(versions, &mut connection);
        if versions.is_ok_and(|versions| is_complete(&versions)) {
            return Ok(connection.batch_execute(READ_EACH_TABLE)?);
        }
        connection.transaction(|connection| {
            // There is no statement timeout, because building an index may take long. While the migration waits
            // for the lock of a table, all later calls for this table wait as well, so this time is limited. The
            // migration then fails and is retried. The wait for the advisory lock is not limited.
            connection.batch_execute(&format!(
                "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({ADVISORY_LOCK_KEY}); \
                 SET LOCAL lock_timeout = '4s'"
            ))?;
            run_pending(connection, POSTGRES)?;
            Ok(connection.batch_execute(READ_EACH_TABLE)?)
        })
    };
    run().map_err(migration_error)
}

pub fn apply_to_sqlite(connection: &mut SqliteHandle) -> Result<(), StoreError> {
    let inner = &mut connection.inner;
    let outcome = inner.immediate_transaction(|inner| {
        skip_claims_issued_at_migration(inner)?;
        run_pending(inner, SQLITE)?;
        Ok(inner.batch_execute(READ_EACH_TABLE)?)
    });
    outcome.map_err(migration_error)
}

/// Records the migration `claims_issued_at` as applied, without applying it, if the users table belongs to Better
/// Auth, whose table the service does not change. The migration itself cannot check this, because SQLite has no
/// conditional `ALTER TABLE`.
fn skip_claims_issued_at_migration(connection: &mut SqliteConnection) -> MigrationResult<()> {
    // `applied_migrations` creates Diesel's table of migrations if it does not exist.
    connection.applied_migrations()?;
    let skip = diesel::sql_query(
        "INSERT OR IGNORE INTO __diesel_schema_migrations (version) \
         SELECT '20261126000000' FROM pragma_table_info('users') \
         WHERE name IN ('email_verified', 'emailVerified') LIMIT 1",
    );
    diesel::RunQueryDsl::execute(skip, connection)?;
    Ok(())
}

fn migration_error(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Unavailable(format!("the migrations cannot be applied: {error}"))
}

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Whether all embedded migrations are applied. Fails if one of the tables does not exist.
pub async fn is_applied(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let versions: Vec<String> = on_both!(connection, |c| versions.load(c))?;
    connection.batch_execute(READ_EACH_TABLE).await?;
    Ok(is_complete(&versions))
}

fn is_complete(applied: &[String]) -> bool {
    // Both databases have migrations with the same versions.
    let embedded: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().unwrap_or_default();
    embedded
        .iter()
        .all(|migration| applied.contains(&migration.name().version().to_string()))
}

fn run_pending<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> MigrationResult<()> {
    for version in connection.run_pending_migrations(migrations)? {
        log::info!("applied migration {version}");
    }
    Ok(())
}
