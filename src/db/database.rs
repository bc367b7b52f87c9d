//! The database as the rest of the service uses it: runs calls, and knows whether the database is ready.

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
use super::postgres::{Connector, Postgres, PostgresWorker, Process};
use super::sqlite::Sqlite;
use crate::config::{Config, DatabaseUrl};
use crate::domain::UserId;
use crate::quota::{Quota, Share};
use crate::telemetry::{self, METRICS, PoolState};

/// The readiness probe queries the database if the last call is not older than this, in milliseconds. After
/// that it answers from memory, because a probe must not keep an idle serverless database awake.
const PROBE_WITHIN_MS: u64 = 30_000;

/// A database that is too busy for the probe counts as ready if it answered within this time, in milliseconds.
const BUSY_IS_READY_WITHIN_MS: u64 = 3_000;

/// The minimum timeout of the first connection, however short the acquire timeout is.
const FIRST_CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// The state that all HTTP workers share.
pub struct Database {
    backend: Backend,
    /// For the embedded database, whose connections all workers share.
    long_lists: Arc<Quota>,
    http_workers: usize,
    acquire_timeout: Duration,
    migrated: AtomicBool,
    /// Whether the first attempt to migrate has ended, successfully or not.
    tried: watch::Sender<bool>,
    /// The time and the result of the last readiness probe.
    probe: Mutex<Option<(Instant, Result<(), StoreError>)>>,
    /// Whether the last call failed.
    failing: AtomicBool,
    started: Instant,
    last_call_ms: AtomicU64,
    last_answer_ms: AtomicU64,
}

#[derive(Clone)]
enum Backend {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

/// The database as one HTTP worker uses it.
#[derive(Clone)]
pub struct DatabaseWorker {
    database: Arc<Database>,
    connections: Connections,
    long_lists: Arc<Quota>,
}

#[derive(Clone)]
enum Connections {
    Postgres(PostgresWorker),
    Sqlite(Sqlite),
}

impl Database {
    /// Succeeds even if the database cannot be reached; calls are refused until it can.
    pub fn open(config: &Config) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let size = config.pool_size.max(2);
        let (backend, http_workers) = match &config.database_url {
            DatabaseUrl::Sqlite(file) => {
                let sqlite = Sqlite::open(file, size, config.acquire_timeout, config.statement_timeout);
                (Backend::Sqlite(sqlite), cores)
            }
            DatabaseUrl::Postgres(url) => {
                // Each worker needs a connection for reads and at least one other.
                let workers = cores.min(size as usize / 2);
                let connector = Connector::new(url, config);
                let process = Process::new(
                    connector,
                    config.acquire_timeout,
                    config.statement_timeout,
                    size as usize / workers,
                );
                (Backend::Postgres(Postgres::new(process)), workers)
            }
        };
        Arc::new(Self {
            backend,
            long_lists: Quota::of_connections(size as usize),
            http_workers,
            acquire_timeout: config.acquire_timeout,
            migrated: AtomicBool::new(false),
            tried: watch::Sender::new(false),
            probe: Mutex::default(),
            failing: AtomicBool::new(false),
            started: Instant::now(),
            last_call_ms: AtomicU64::new(0),
            last_answer_ms: AtomicU64::new(0),
        })
    }

    /// How many HTTP workers the connections are sufficient for.
    pub fn http_workers(&self) -> usize {
        self.http_workers
    }

    /// Must be called on the HTTP worker that will use it.
    pub fn worker(self: &Arc<Self>) -> DatabaseWorker {
        let (connections, long_lists) = match &self.backend {
            Backend::Postgres(postgres) => {
                let long_lists = Quota::of_connections(postgres.connections_per_worker());
                (Connections::Postgres(postgres.worker()), long_lists)
            }
            Backend::Sqlite(sqlite) => (Connections::Sqlite(sqlite.clone()), Arc::clone(&self.long_lists)),
        };
        DatabaseWorker {
            database: Arc::clone(self),
            connections,
            long_lists,
        }
    }

    /// Creates the tables, or brings them up to date.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let outcome = match &self.backend {
            Backend::Postgres(postgres) => {
                let apply = || migrations::apply_to_postgres(postgres.connector());
                // On a thread of its own, because the caller's thread may have a runtime.
                let joined = thread::scope(|scope| scope.spawn(apply).join());
                joined.unwrap_or(Err(StoreError::Panicked))
            }
            Backend::Sqlite(sqlite) => {
                let patience = self.acquire_timeout.max(FIRST_CONNECTION_TIMEOUT);
                let connection = sqlite.connect(patience);
                connection.and_then(|mut connection| migrations::apply_to_sqlite(&mut connection))
            }
        };
        self.migrated.store(outcome.is_ok(), Ordering::Release);
        self.tried.send_replace(true);
        outcome
    }

    /// Retries in the background, because the database may become available after the service. The process ends if the
    /// first attempt finds a database that can never be used.
    pub fn migrate_until_done(self: &Arc<Self>) {
        let database = Arc::clone(self);
        thread::spawn(move || {
            let mut backoff = Duration::from_millis(250);
            let mut is_first_attempt = true;
            while let Err(error) = database.migrate() {
                if is_first_attempt
                    && let Backend::Postgres(postgres) = &database.backend
                    && postgres.connector().encoding_is_refused()
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

    /// Must be called when the service has stopped.
    pub fn close(&self) {
        if let Backend::Sqlite(sqlite) = &self.backend {
            sqlite.checkpoint();
        }
    }

    pub fn pool_state(&self) -> PoolState {
        match &self.backend {
            Backend::Postgres(postgres) => postgres.pool_state(),
            Backend::Sqlite(sqlite) => sqlite.pool_state(),
        }
    }

    /// Calls during the first migration wait for it, until the acquire timeout after the start. A migration may
    /// take minutes, so later calls do not wait again.
    async fn check_migrated(&self) -> Result<(), StoreError> {
        if !self.migrated.load(Ordering::Acquire) {
            let left = self.acquire_timeout.saturating_sub(self.started.elapsed());
            let mut tried = self.tried.subscribe();
            let _ = timeout(left, tried.wait_for(|tried| *tried)).await;
        }
        match self.migrated.load(Ordering::Acquire) {
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
    /// Whether the database answers and its tables exist.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let database = &self.database;
        database.check_migrated().await?;
        if let Connections::Sqlite(sqlite) = &self.connections {
            sqlite.check_file()?;
        }
        let failing = database.failing.load(Ordering::Relaxed);
        if !failing && database.ms_since(&database.last_call_ms) >= PROBE_WITHIN_MS {
            return Ok(());
        }
        // Anybody may call the probe, so concurrent probes share one query; otherwise they could occupy all
        // connections.
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
            // An overloaded replica that still answers stays in service: without it, the others would be
            // overloaded too.
            Err(StoreError::Busy(_))
                if database.ms_since(&database.last_answer_ms) < BUSY_IS_READY_WITHIN_MS =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        };
        database.failing.store(outcome.is_err(), Ordering::Relaxed);
        *probe = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Must be taken before a long list is read, and kept until the client has received all of it.
    pub async fn long_list_permit(&self, user: &UserId) -> Result<Share, StoreError> {
        let patience = self.database.acquire_timeout;
        let permit = self.long_lists.acquire(patience, user, 1).await;
        permit.ok_or(StoreError::TooManyLongLists)
    }

    /// Runs queries on a connection. `user` is the caller, so that no user can occupy the whole queue.
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
            Ok(_) if database.failing.load(Ordering::Relaxed) => {
                database.failing.store(false, Ordering::Relaxed);
            }
            Err(StoreError::Unavailable(_)) => {
                unavailable();
                database.failing.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        let now = database.elapsed_ms();
        database.last_call_ms.store(now, Ordering::Relaxed);
        if outcome.is_ok() {
            database.last_answer_ms.store(now, Ordering::Relaxed);
        }
        outcome
    }

    async fn submit<T: Send + 'static>(
        &self,
        access: Access,
        user: Option<&UserId>,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.connections {
            Connections::Postgres(worker) => worker.run(access, user, work).await,
            Connections::Sqlite(sqlite) => sqlite.run(access, work).await,
        }
    }
}
