//! The embedded database: threads with one connection each, one of which does all the writing. Other threads, with a low
//! priority, read long lists.
//!
//! A job waits in a bounded queue for a bounded time, and then has a thread and a connection to itself. This
//! takes half of the processor time of `spawn_blocking` and of diesel-async's wrapper for blocking connections.

mod backup;
mod file;
mod manager;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use diesel::QueryResult;
use diesel::connection::SimpleConnection as _;
use r2d2::ManageConnection as _;
use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use self::backup::backup;
use self::file::DatabaseFile;
pub use self::manager::SqliteHandle;
use self::manager::{LogAtDebug, Manager};
use super::error::describe;
use super::{Access, Connection, StoreError};
use crate::telemetry::RequestContext;
use crate::telemetry::{METRICS, PoolState};

/// How many jobs may be queued per connection. Further ones are refused.
const QUEUED_PER_CONNECTION: usize = 64;

/// How many writes there are between two checkpoints. A write changes about eight pages of 4 KiB.
const WRITES_PER_CHECKPOINT: u32 = 128;

/// How much the priority of the threads that read long lists is lowered (`man 2 setpriority`).
const LONG_LIST_NICENESS: i32 = 10;

type Pool = r2d2::Pool<Manager>;
type Job = Box<dyn FnOnce(&Pool, &Runtime) + Send>;

#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    file: Arc<DatabaseFile>,
    pool: Pool,
    reads: Sender<Job>,
    long_lists: Sender<Job>,
    writes: Sender<Job>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

/// Connects to an existing file. A command must not create an empty database because of a mistyped path.
pub fn open_existing(file: &Path, statement_timeout: Duration) -> Result<SqliteHandle, String> {
    if !file.is_file() {
        return Err(format!("there is no file {}", file.display()));
    }
    let manager = Manager::new(Arc::new(DatabaseFile::new(file)), statement_timeout);
    manager.connect().map_err(|error| error.to_string())
}

/// The state of a job. Whoever changes it from `WAITING` decides what happens to the job.
struct Ticket(AtomicU8);

impl Ticket {
    const WAITING: u8 = 0;
    const STARTED: u8 = 1;
    const ABANDONED: u8 = 2;

    fn take(&self, next: u8) -> bool {
        self.0
            .compare_exchange(Self::WAITING, next, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Sqlite {
    pub fn open(
        file: &Path,
        connections: u32,
        acquire_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let file = Arc::new(DatabaseFile::new(file));
        let pool = r2d2::Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(acquire_timeout)
            .error_handler(Box::new(LogAtDebug))
            .build_unchecked(Manager::new(Arc::clone(&file), statement_timeout));
        let queue = || bounded(connections as usize * QUEUED_PER_CONNECTION);
        // As many threads as long lists may be read at a time (`Quota::of_connections`).
        let list_threads = (connections / 2).max(1);
        let (long_lists, jobs) = queue();
        for _ in 0..list_threads {
            let jobs = jobs.clone();
            spawn("db-list", &pool, move |pool, runtime| {
                lower_priority();
                work_off(&jobs, pool, runtime, || {});
            });
        }
        let (reads, jobs) = queue();
        for _ in 0..connections.saturating_sub(1 + list_threads).max(1) {
            let jobs = jobs.clone();
            spawn("db-read", &pool, move |pool, runtime| {
                work_off(&jobs, pool, runtime, || {})
            });
        }
        // SQLite allows one writer at a time. With one writing thread, writes wait in the queue instead of
        // failing.
        let (writes, jobs) = queue();
        spawn("db-write", &pool, move |pool, runtime| {
            let mut since_checkpoint = 0;
            work_off(&jobs, pool, runtime, || {
                since_checkpoint += 1;
                if since_checkpoint == WRITES_PER_CHECKPOINT {
                    since_checkpoint = 0;
                    checkpoint(pool);
                }
            });
        });
        Self(Arc::new(Inner {
            file,
            pool,
            reads,
            long_lists,
            writes,
            acquire_timeout,
            statement_timeout,
        }))
    }

    /// Checks that the file is still the one that was opened.
    pub fn check_file(&self) -> Result<(), StoreError> {
        self.0.file.check().map_err(StoreError::Unavailable)
    }

    /// A connection that the caller uses on its own thread.
    pub fn connect(&self, acquire_timeout: Duration) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
        let connection = self.0.pool.get_timeout(acquire_timeout);
        connection.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Copies everything into the database file, so that a copy of this file alone is complete.
    pub fn checkpoint(&self) {
        checkpoint(&self.0.pool);
    }

    pub fn pool_state(&self) -> PoolState {
        let state = self.0.pool.state();
        PoolState {
            open: state.connections,
            in_use: state.connections - state.idle_connections,
            waiting: self.0.reads.len() + self.0.long_lists.len() + self.0.writes.len(),
        }
    }

    /// Runs `work` on a database thread. Fails after the acquire timeout if no thread is free, or after the
    /// statement timeout if the work takes too long.
    pub async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = &self.0;
        let (reply, mut answer) = oneshot::channel();
        let ticket = Arc::new(Ticket(AtomicU8::new(Ticket::WAITING)));
        // Earlier than the caller gives up, so that the caller learns the cause.
        let deadline = Instant::now() + inner.acquire_timeout * 9 / 10;
        let request = RequestContext::current();
        let written = match access {
            Access::Read | Access::LongList => None,
            Access::Write | Access::Transaction => Some(Arc::clone(&inner.file)),
        };
        let work = async move |connection: &mut Connection<'_>| {
            if let Some(file) = &written {
                file.check_for_query()?;
            }
            work(connection).await
        };
        let job: Job = Box::new({
            let ticket = Arc::clone(&ticket);
            move |pool, runtime| {
                // The caller has given up.
                if reply.is_closed() {
                    return;
                }
                let run = || attempt(pool, runtime, &ticket, deadline, work);
                let _ = reply.send(match request {
                    Some(id) => id.sync_scope(run),
                    None => run(),
                });
            }
        });
        let lane = match access {
            Access::Read => &inner.reads,
            Access::LongList => &inner.long_lists,
            Access::Write | Access::Transaction => &inner.writes,
        };
        lane.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                METRICS.database_refused("queue_full");
                StoreError::Busy("too many calls are waiting")
            }
            TrySendError::Disconnected(_) => StoreError::Internal("no database thread is left".into()),
        })?;

        let outcome = match timeout(inner.acquire_timeout, &mut answer).await {
            Ok(outcome) => outcome,
            Err(_) if ticket.take(Ticket::ABANDONED) => {
                METRICS.database_refused("timeout");
                return Err(StoreError::Busy(bottleneck(access)));
            }
            // A long list has no timeout here: it is read at its client's pace.
            Err(_) if access == Access::LongList => answer.await,
            Err(_) => timeout(inner.statement_timeout, answer)
                .await
                .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
        };
        // The sender is dropped only if the job panicked.
        outcome.unwrap_or_else(|_| Err(StoreError::Panicked))
    }
}

fn attempt<T>(
    pool: &Pool,
    runtime: &Runtime,
    ticket: &Ticket,
    deadline: Instant,
    work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T>,
) -> Result<T, StoreError> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    let mut connection = pool
        .get_timeout(remaining.max(Duration::from_millis(1)))
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    if !ticket.take(Ticket::STARTED) {
        return Err(StoreError::Busy("the client was answered meanwhile"));
    }
    let outcome = runtime.block_on(work(&mut Connection::Sqlite(&mut connection)));
    outcome.map_err(|error| {
        log::debug!("{}", describe(&error));
        error.into()
    })
}

/// The cause in the words of an operator.
fn bottleneck(access: Access) -> &'static str {
    match access {
        Access::Read | Access::LongList => {
            "all connections are in use: DATABASE_POOL_SIZE is small for this load"
        }
        Access::Write | Access::Transaction => {
            "SQLite's one writer is busy, or another process holds its lock"
        }
    }
}

/// Copies the write-ahead log into the database file, so that the log can start from its beginning again.
///
/// SQLite would do this in each commit that finds the log long. While a long list is read, its snapshot prevents the
/// log from starting again, and each attempt sorts all pages of the log: after 6,000 writes, a write took seven times
/// as long.
fn checkpoint(pool: &Pool) {
    let outcome = pool.get().map(|mut connection| {
        let statement = "PRAGMA wal_checkpoint(PASSIVE)";
        connection.inner.batch_execute(statement)
    });
    if !matches!(outcome, Ok(Ok(()))) {
        log::debug!("the write-ahead log cannot be copied into the database file: {outcome:?}");
    }
}

/// Long lists take much processor time. With a lower priority of their threads, they hardly delay the calls of others.
fn lower_priority() {
    // On Linux, this concerns only the calling thread.
    if let Err(error) = setpriority_process(None, LONG_LIST_NICENESS) {
        log::debug!("the priority of long lists cannot be lowered: {error}");
    }
}

fn work_off(jobs: &Receiver<Job>, pool: &Pool, runtime: &Runtime, mut after_job: impl FnMut()) {
    for job in jobs {
        // The panic hook has logged it, and the caller responds with 500.
        let _ = catch_unwind(AssertUnwindSafe(|| job(pool, runtime)));
        after_job();
    }
}

fn spawn(name: &str, pool: &Pool, run: impl FnOnce(&Pool, &Runtime) + Send + 'static) {
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime can be made");
    let pool = pool.clone();
    #[expect(clippy::expect_used, reason = "as above")]
    thread::Builder::new()
        .name(name.into())
        .spawn(move || run(&pool, &runtime))
        .expect("a thread can be started");
}
