//! The database as the rest of the service holds it: where calls go, and whether they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::QueryResult;

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

pub struct Database {
    queue: Queue,
    pool: r2d2::Pool<Manager>,
    pub(super) known_users: KnownUsers,
    migrated: AtomicBool,
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
            trouble: AtomicBool::new(false),
            started: Instant::now(),
            last_call: AtomicU64::new(0),
            last_answer: AtomicU64::new(0),
        })
    }

    /// Makes the tables, or brings them up to date.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let mut conn = self
            .pool
            .get()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let outcome = migrate::apply(&mut conn);
        conn.broken = outcome.is_err();
        self.migrated.store(outcome.is_ok(), Ordering::Release);
        outcome
    }

    /// Goes on trying in the background, for a database that comes later than we do. Returns when the
    /// first attempt has ended, or after a moment if that takes long.
    pub fn migrate_until_done(self: &Arc<Self>) {
        const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
        let database = Arc::clone(self);
        let (attempted, first) = mpsc::channel();
        thread::spawn(move || {
            let mut pause = Duration::from_millis(250);
            while let Err(error) = database.migrate() {
                log::warn!("{error}; trying again in {pause:?}");
                let _ = attempted.send(());
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(4));
            }
            let _ = attempted.send(());
        });
        let _ = first.recv_timeout(FIRST_ATTEMPT);
    }

    /// The database answers and its tables are there.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.check_migrated()?;
        if self.trouble.load(Ordering::Relaxed) || self.ms_since(&self.last_call) < ASK_READINESS_FOR {
            let outcome = match self.queue.submit(Access::Read, migrate::is_applied).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(StoreError::NotMigrated),
                // More calls than it can serve, and it serves them: taken out, it would leave them to others.
                Err(StoreError::Busy(_)) if self.ms_since(&self.last_answer) < BUSY_AND_WELL_FOR => Ok(()),
                Err(error) => Err(error),
            };
            self.trouble.store(outcome.is_err(), Ordering::Relaxed);
            return outcome;
        }
        Ok(())
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
        self.check_migrated().inspect_err(|_| unavailable())?;
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

    fn check_migrated(&self) -> Result<(), StoreError> {
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
