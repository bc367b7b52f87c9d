//! The embedded database: threads with one connection each, one of which does all the writing. Long lists have
//! threads with a low priority.
//!
//! A job waits in a bounded queue for a bounded time, and then has a thread and a connection to itself. This
//! takes half of the processor time of `spawn_blocking` and of diesel-async's wrapper for blocking connections.

mod backup;
mod file;
mod manager;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use diesel::QueryResult;
use r2d2::ManageConnection as _;
use tokio::runtime::Runtime;
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

type Pool = r2d2::Pool<Manager>;
/// The work of one call, for a thread of the database.
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
        let ((reads, read_jobs), (writes, write_jobs), (long_lists, list_jobs)) = (queue(), queue(), queue());
        // As many threads as long lists may be read at a time (`Quota::of_connections`).
        let list_threads = (connections / 2).max(1);
        for _ in 0..list_threads {
            threads::spawn_list_reader(&pool, list_jobs.clone());
        }
        for _ in 0..connections.saturating_sub(1 + list_threads).max(1) {
            threads::spawn_reader(&pool, read_jobs.clone());
        }
        threads::spawn_writer(&pool, write_jobs);
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

    /// Returns a connection that the caller uses on its own thread.
    pub fn connect(&self, acquire_timeout: Duration) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
        let connection = self.0.pool.get_timeout(acquire_timeout);
        connection.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Copies everything into the database file, so that a copy of this file alone is complete.
    pub fn checkpoint(&self) {
        threads::checkpoint(&self.0.pool);
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
        // The thread sets this flag to start the job, and the caller sets it to abandon the job. The first one decides.
        let is_decided = Arc::new(AtomicBool::new(false));
        // This is before the caller gives up, so that the caller gets the cause as its error.
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
            let is_decided = Arc::clone(&is_decided);
            move |pool, runtime| {
                // The caller no longer waits for the result.
                if reply.is_closed() {
                    return;
                }
                let run = || attempt(pool, runtime, &is_decided, deadline, work);
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
            Err(_) if !is_decided.swap(true, Ordering::AcqRel) => {
                METRICS.database_refused("timeout");
                return Err(StoreError::Busy(bottleneck(access)));
            }
            // A long list has no timeout here, because the client determines how fast the list is read.
            Err(_) if access == Access::LongList => answer.await,
            Err(_) => timeout(inner.statement_timeout, answer)
                .await
                .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
        };
        // While the caller waits, the sender is dropped without an answer only if the job panicked.
        outcome.unwrap_or_else(|_| Err(StoreError::Panicked))
    }
}

fn attempt<T>(
    pool: &Pool,
    runtime: &Runtime,
    is_decided: &AtomicBool,
    deadline: Instant,
    work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T>,
) -> Result<T, StoreError> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    let mut connection = pool
        .get_timeout(remaining.max(Duration::from_millis(1)))
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    if is_decided.swap(true, Ordering::AcqRel) {
        return Err(StoreError::Busy("the client was answered meanwhile"));
    }
    let outcome = runtime.block_on(work(&mut Connection::Sqlite(&mut connection)));
    outcome.map_err(|error| {
        log::debug!("{}", describe(&error));
        error.into()
    })
}

/// Returns the cause of a call that could not be started in time, for the log.
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
