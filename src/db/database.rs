//! Runs queries on the configured database, applies its migrations at the start, and tells whether it is ready.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use diesel::QueryResult;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::connection::{Access, Connection};
use super::error::StoreError;
use super::migrations;
use super::postgres::{Connector, SharedState, WorkerPool};
use super::sqlite::Sqlite;
use crate::config::{Config, DatabaseUrl};
use crate::domain::UserId;
use crate::quota::{Quota, QuotaPermit};
use crate::telemetry::{self, METRICS, PoolState};

/// The readiness probe queries the database if the last call ended within this time, in ms, or if the database
/// was unavailable. Otherwise it makes no query, so that an idle serverless database can be suspended.
const PROBE_IF_CALLED_WITHIN_MS: u64 = 30_000;

/// If all connections are in use, the service counts as ready if a call succeeded within this time, in ms.
const READY_IF_ANSWERED_WITHIN_MS: u64 = 3_000;

/// The timeout for a migration that waits for an SQLite connection, if the acquire timeout is shorter than this.
const MIN_MIGRATION_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The access to the database that all HTTP workers share.
pub struct Database {
    backend: Backend<Arc<SharedState>>,
    /// Limits how many long lists are read at a time. Only used with SQLite, whose connections all workers
    /// share; with PostgreSQL, each worker has its own quota.
    long_lists: Arc<Quota>,
    http_workers: usize,
    acquire_timeout: Duration,
    is_migrated: AtomicBool,
    /// Whether the first attempt to migrate has ended, successfully or not.
    migration_attempted: watch::Sender<bool>,
    /// The time and the result of the last readiness probe that queried the database.
    probe: Mutex<Option<(Instant, Result<(), StoreError>)>>,
    /// Set when a call finds the database unavailable or a readiness probe fails. Cleared by the next success.
    is_unavailable: AtomicBool,
    started: Instant,
    /// When the last call ended, in ms since `started`.
    last_call_ms: AtomicU64,
    /// When the last successful call ended, in ms since `started`.
    last_success_ms: AtomicU64,
}

/// `P` is what PostgreSQL needs: the state that all HTTP workers share, or the connections of one worker.
#[derive(Clone)]
enum Backend<P> {
    Postgres(P),
    Sqlite(Arc<Sqlite>),
}

/// One HTTP worker's access to the database.
#[derive(Clone)]
pub struct DatabaseWorker {
    database: Arc<Database>,
    backend: Backend<Rc<WorkerPool>>,
    long_lists: Arc<Quota>,
}

impl Database {
    /// Does not connect, so that the service can start before the database.
    pub fn open(config: &Config) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let size = config.pool_size.max(2);
        let (backend, http_workers) = match &config.database_url {
            DatabaseUrl::Sqlite(file) => {
                let sqlite = Sqlite::open(file, size, config.acquire_timeout, config.statement_timeout);
                (Backend::Sqlite(Arc::new(sqlite)), cores)
            }
            DatabaseUrl::Postgres(url) => {
                // Each worker gets at least four connections, unless there are fewer. With only two, one of them
                // would be for reads, so one user's write that waits for a locked row would delay the writes of all
                // users.
                let workers = cores.min((size as usize / 4).max(1));
                let connector = Connector::new(url, config);
                let shared = SharedState::new(connector, config, size as usize / workers);
                (Backend::Postgres(Arc::new(shared)), workers)
            }
        };
        Arc::new(Self {
            backend,
            long_lists: Quota::for_connections(size as usize),
            http_workers,
            acquire_timeout: config.acquire_timeout,
            is_migrated: AtomicBool::new(false),
            migration_attempted: watch::Sender::new(false),
            probe: Mutex::default(),
            is_unavailable: AtomicBool::new(false),
            started: Instant::now(),
            last_call_ms: AtomicU64::new(0),
            last_success_ms: AtomicU64::new(0),
        })
    }

    /// The number of HTTP workers: one per processor, but with PostgreSQL at most one per four connections.
    pub fn http_workers(&self) -> usize {
        self.http_workers
    }

    /// Must be called on the HTTP worker's thread, because the result cannot be sent to another thread.
    pub fn worker(self: &Arc<Self>) -> DatabaseWorker {
        let (backend, long_lists) = match &self.backend {
            Backend::Postgres(shared) => {
                let long_lists = Quota::for_connections(shared.connections_per_worker);
                (Backend::Postgres(WorkerPool::new(Arc::clone(shared))), long_lists)
            }
            Backend::Sqlite(sqlite) => (Backend::Sqlite(Arc::clone(sqlite)), Arc::clone(&self.long_lists)),
        };
        DatabaseWorker {
            database: Arc::clone(self),
            backend,
            long_lists,
        }
    }

    /// Applies the migrations that are not applied yet. Blocks the thread.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let outcome = match &self.backend {
            Backend::Postgres(shared) => {
                let apply = || migrations::apply_to_postgres(&shared.connector);
                // The migration needs a separate thread, because it calls `block_on`, which panics on a thread
                // that already runs an asynchronous runtime, as the caller's may do.
                let joined = thread::scope(|scope| scope.spawn(apply).join());
                joined.unwrap_or(Err(StoreError::Panicked))
            }
            Backend::Sqlite(sqlite) => {
                let timeout = self.acquire_timeout.max(MIN_MIGRATION_ACQUIRE_TIMEOUT);
                let connection = sqlite.connect(timeout);
                connection.and_then(|mut connection| migrations::apply_to_sqlite(&mut connection))
            }
        };
        self.is_migrated.store(outcome.is_ok(), Ordering::Release);
        self.migration_attempted.send_replace(true);
        outcome
    }

    /// Applies the migrations in the background, and retries until this succeeds. The process exits if the first
    /// attempt finds that the database's encoding is not UTF-8: such a database can never be used.
    pub fn migrate_until_done(self: &Arc<Self>) {
        let database = Arc::clone(self);
        thread::spawn(move || {
            let mut backoff = Duration::from_millis(250);
            let mut is_first_attempt = true;
            while let Err(error) = database.migrate() {
                if is_first_attempt
                    && let Backend::Postgres(shared) = &database.backend
                    && shared.connector.has_refused_encoding()
                {
                    log::error!("DATABASE_URL: {error}");
                    telemetry::flush();
                    process::exit(1);
                }
                is_first_attempt = false;
                log::warn!("{error}; trying again in {backoff:?}");
                thread::sleep(backoff);
                backoff = (backoff * 2).min(Duration::from_secs(4));
            }
        });
    }

    /// Makes the last checkpoint of an SQLite database. Must be called when the service has stopped.
    pub fn close(&self) {
        if let Backend::Sqlite(sqlite) = &self.backend {
            sqlite.checkpoint();
        }
    }

    pub fn pool_state(&self) -> PoolState {
        match &self.backend {
            Backend::Postgres(shared) => shared.pool_state(),
            Backend::Sqlite(sqlite) => sqlite.pool_state(),
        }
    }

    /// While the first migration runs, calls wait for it, but only until the acquire timeout has passed since the
    /// process started. A migration may take minutes, so calls after that time fail at once.
    async fn check_migrated(&self) -> Result<(), StoreError> {
        if !self.is_migrated.load(Ordering::Acquire) {
            let left = self.acquire_timeout.saturating_sub(self.started.elapsed());
            let mut attempted = self.migration_attempted.subscribe();
            let _ = timeout(left, attempted.wait_for(|attempted| *attempted)).await;
        }
        match self.is_migrated.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(StoreError::NotMigrated),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn ms_since(&self, moment: &AtomicU64) -> u64 {
        self.elapsed_ms().saturating_sub(moment.load(Ordering::Relaxed))
    }
}

impl DatabaseWorker {
    /// Fails if the database does not answer or its tables do not exist. A database that is idle and was available is
    /// not queried.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let database = &self.database;
        database.check_migrated().await?;
        if let Backend::Sqlite(sqlite) = &self.backend {
            sqlite.check_file()?;
        }
        let is_unavailable = database.is_unavailable.load(Ordering::Relaxed);
        if !is_unavailable && database.ms_since(&database.last_call_ms) >= PROBE_IF_CALLED_WITHIN_MS {
            return Ok(());
        }
        // Concurrent probes share one query. Otherwise they could occupy all connections, because no token is
        // needed for a probe.
        let asked = Instant::now();
        let mut probe = database.probe.lock().await;
        if let Some((answered, outcome)) = &*probe
            && *answered > asked
        {
            return outcome.clone();
        }
        let probed = self.submit(Access::Read, None, async |connection: &mut Connection<'_>| {
            migrations::is_applied(connection).await
        });
        let outcome = match probed.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::NotMigrated),
            // An overloaded replica that still answers calls is ready. If it got no more requests, the other
            // replicas would be overloaded too.
            Err(StoreError::Busy(_))
                if database.ms_since(&database.last_success_ms) < READY_IF_ANSWERED_WITHIN_MS =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        };
        database.is_unavailable.store(outcome.is_err(), Ordering::Relaxed);
        *probe = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Waits for a permit to read one long list. It must be kept until the client has received the whole list.
    pub async fn long_list_permit(&self, user: &UserId) -> Result<QuotaPermit, StoreError> {
        let timeout = self.database.acquire_timeout;
        let permit = self.long_lists.acquire(timeout, user, 1).await;
        permit.ok_or(StoreError::TooManyLongLists)
    }

    /// Runs `work` on a connection. With PostgreSQL, the calls of one user cannot occupy the whole queue.
    pub async fn run<T: Send + 'static>(
        &self,
        access: Access,
        user: &UserId,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = &self.database;
        let unavailable = || METRICS.database_refused("unavailable");
        database.check_migrated().await.inspect_err(|_| unavailable())?;
        let outcome = self.submit(access, Some(user), work).await;
        match &outcome {
            Ok(_) if database.is_unavailable.load(Ordering::Relaxed) => {
                database.is_unavailable.store(false, Ordering::Relaxed);
            }
            Err(StoreError::Unavailable(_)) => {
                unavailable();
                database.is_unavailable.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        let now = database.elapsed_ms();
        database.last_call_ms.store(now, Ordering::Relaxed);
        if outcome.is_ok() {
            database.last_success_ms.store(now, Ordering::Relaxed);
        }
        outcome
    }

    async fn submit<T: Send + 'static>(
        &self,
        access: Access,
        user: Option<&UserId>,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.backend {
            Backend::Postgres(pool) => pool.run(access, user, work).await,
            Backend::Sqlite(sqlite) => sqlite.run(access, work).await,
        }
    }
}
