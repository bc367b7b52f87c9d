//! The database as the rest of the service holds it: where calls go, and whether they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::connection::{Connection, Timeouts};
use super::error::StoreError;
use super::manager::{Manager, Quiet};
use super::migrate;
use super::pooler::Pooler;
use super::queue::{Access, Queue};
use super::users::KnownUsers;
use crate::config::Config;
use crate::metrics::{METRICS, PoolState};

/// Idle connections are closed after this long (r2d2 looks every 30 s), so that a serverless database
/// can go to sleep.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How many milliseconds after the last call readiness is still asked of the database. Later it comes from
/// memory: a probe must not keep an idle serverless database awake.
const ASK_READINESS_FOR: u64 = 30_000;

/// How many milliseconds after its last answer a database that has no time for the probe counts as ready.
const BUSY_AND_WELL_FOR: u64 = 3_000;

/// How long the first connection may take at least, however soon calls are to be refused.
const FIRST_CONNECTION: Duration = Duration::from_secs(2);

pub struct Database {
    queue: Queue,
    pool: r2d2::Pool<Manager>,
    pub(super) known_users: KnownUsers,
    migrated: AtomicBool,
    /// Whether an attempt to migrate has ended, however it did.
    tried: watch::Sender<bool>,
    /// When readiness was last asked of the database, and what came of it.
    probe: Mutex<Option<(Instant, Result<(), StoreError>)>>,
    /// The last answer was a failure.
    trouble: AtomicBool,
    started: Instant,
    /// Milliseconds after `started`.
    last_call: AtomicU64,
    last_answer: AtomicU64,
}

impl Database {
    /// Does not need the database to be there: until it is, calls are refused.
    pub fn open(config: &Config) -> Arc<Self> {
        let pooler = Arc::new(Pooler::new(config.prepared_statements));
        let sqlite = config.sqlite_file().is_some();
        let size = if sqlite {
            config.pool_size.max(2)
        } else {
            config.pool_size
        };
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .idle_timeout((!sqlite).then_some(IDLE_TIMEOUT))
            .max_lifetime((!sqlite).then_some(Duration::from_secs(30 * 60)))
            .connection_timeout(config.acquire_timeout)
            .test_on_check_out(true)
            .error_handler(Box::new(Quiet))
            .build_unchecked(Manager::new(
                config.database_url.clone(),
                Timeouts {
                    connect: config.acquire_timeout,
                    statement: config.statement_timeout,
                },
                Arc::clone(&pooler),
            ));
        Arc::new(Self {
            queue: Queue::start(
                &pool,
                pooler,
                sqlite,
                config.acquire_timeout,
                config.statement_timeout,
            ),
            pool,
            known_users: KnownUsers::default(),
            migrated: AtomicBool::new(false),
            tried: watch::Sender::new(false),
            probe: Mutex::default(),
            trouble: AtomicBool::new(false),
            started: Instant::now(),
            last_call: AtomicU64::new(0),
            last_answer: AtomicU64::new(0),
        })
    }

    /// Makes the tables, or brings them up to date.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let patience = self.pool.connection_timeout().max(FIRST_CONNECTION);
        let outcome = match self.pool.get_timeout(patience) {
            Ok(mut conn) => {
                let outcome = migrate::apply(&mut conn);
                conn.broken = outcome.is_err();
                outcome
            }
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        };
        self.migrated.store(outcome.is_ok(), Ordering::Release);
        self.tried.send_replace(true);
        outcome
    }

    /// Goes on trying in the background, for a database that comes later than we do.
    pub fn migrate_until_done(self: &Arc<Self>) {
        let database = Arc::clone(self);
        thread::spawn(move || {
            let mut pause = Duration::from_millis(250);
            while let Err(error) = database.migrate() {
                log::warn!("{error}; trying again in {pause:?}");
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(4));
            }
        });
    }

    /// The database answers and its tables are there.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.check_migrated().await?;
        if !self.trouble.load(Ordering::Relaxed) && self.ms_since(&self.last_call) >= ASK_READINESS_FOR {
            return Ok(());
        }
        // Anybody may ask, so one asks for all who ask meanwhile: they must not take the connections from
        // users.
        let asked = Instant::now();
        let mut probe = self.probe.lock().await;
        if let Some((answered, outcome)) = &*probe
            && *answered > asked
        {
            return outcome.clone();
        }
        let outcome = match self.queue.submit(Access::Read, migrate::is_applied).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::NotMigrated),
            // More calls than it can serve, and it serves them: taken out, it would leave them to others.
            Err(StoreError::Busy(_)) if self.ms_since(&self.last_answer) < BUSY_AND_WELL_FOR => Ok(()),
            Err(error) => Err(error),
        };
        self.trouble.store(outcome.is_err(), Ordering::Relaxed);
        *probe = Some((Instant::now(), outcome.clone()));
        outcome
    }

    pub fn pool_state(&self) -> PoolState {
        let state = self.pool.state();
        PoolState {
            open: state.connections,
            in_use: state.connections - state.idle_connections,
            waiting: self.queue.waiting(),
        }
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = || METRICS.turned_away("unavailable");
        self.check_migrated().await.inspect_err(|_| unavailable())?;
        let outcome = self.queue.submit(access, work).await;
        match &outcome {
            Ok(_) if self.trouble.load(Ordering::Relaxed) => self.trouble.store(false, Ordering::Relaxed),
            Err(StoreError::Unavailable(_)) => {
                unavailable();
                self.trouble.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        let now = self.elapsed_ms();
        self.last_call.store(now, Ordering::Relaxed);
        if outcome.is_ok() {
            self.last_answer.store(now, Ordering::Relaxed);
        }
        outcome
    }

    /// The first calls may come while the tables are being made, and wait for that as long as for a
    /// connection: all together, for where it takes minutes, each must be refused in time.
    async fn check_migrated(&self) -> Result<(), StoreError> {
        if !self.migrated.load(Ordering::Acquire) {
            let left = self
                .pool
                .connection_timeout()
                .saturating_sub(self.started.elapsed());
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
