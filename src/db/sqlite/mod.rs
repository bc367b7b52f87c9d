//! The embedded database. It is accessed by threads, which take a connection from a pool for each job. One thread
//! executes all writes, and commits those that are waiting in one transaction. Threads with a low priority read the
//! long lists.
//!
//! A job waits in a bounded queue for a bounded time, and is then executed on one of these threads. This takes half of
//! the processor time of `spawn_blocking` and of diesel-async's wrapper for blocking connections.

mod backup;
mod file;
mod manager;
mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};
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
use self::manager::Manager;
pub use self::manager::SqliteHandle;
use super::error::describe;
use super::{Access, Connection, StoreError};
use crate::telemetry::RequestContext;
use crate::telemetry::{METRICS, PoolState};

/// The maximum number of jobs in each queue, per connection. Further jobs are refused.
const QUEUED_PER_CONNECTION: usize = 64;

type Pool = r2d2::Pool<Manager>;

pub struct Sqlite {
    file: Arc<DatabaseFile>,
    pool: Pool,
    reads: Sender<Box<dyn Job>>,
    long_lists: Sender<Box<dyn Job>>,
    writes: Sender<Box<dyn Job>>,
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
            // The call that waits for the connection reports the error.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Manager::new(Arc::clone(&file), statement_timeout));
        let queue = || bounded(connections as usize * QUEUED_PER_CONNECTION);
        let ((reads, read_jobs), (writes, write_jobs), (long_lists, list_jobs)) = (queue(), queue(), queue());
        // There is one thread for each long list that may be read at a time (`Quota::for_connections`).
        let list_threads = (connections / 2).max(1);
        for _ in 0..list_threads {
            threads::spawn_list_reader(&pool, list_jobs.clone());
        }
        for _ in 0..connections.saturating_sub(1 + list_threads).max(1) {
            threads::spawn_reader(&pool, read_jobs.clone());
        }
        threads::spawn_writer(&pool, Arc::clone(&file), write_jobs);
        Self {
            file,
            pool,
            reads,
            long_lists,
            writes,
            acquire_timeout,
            statement_timeout,
        }
    }

    /// Checks that the file is still the one that was opened.
    pub fn check_file(&self) -> Result<(), StoreError> {
        self.file.check().map_err(StoreError::Unavailable)
    }

    /// Returns a connection that the caller uses on its own thread.
    pub fn connect(&self, acquire_timeout: Duration) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
        let connection = self.pool.get_timeout(acquire_timeout);
        connection.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Copies the write-ahead log into the database file, so that a copy of this file alone is complete.
    pub fn checkpoint(&self) {
        if let Ok(mut connection) = self.pool.get() {
            threads::checkpoint(&mut connection);
        }
    }

    pub fn pool_state(&self) -> PoolState {
        let state = self.pool.state();
        PoolState {
            open: state.connections,
            in_use: state.connections - state.idle_connections,
            waiting: self.reads.len() + self.long_lists.len() + self.writes.len(),
        }
    }

    /// Runs `work` on a database thread. Fails after the acquire timeout if no thread is free, or after the
    /// statement timeout if the work takes too long.
    pub async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, mut answer) = oneshot::channel();
        let is_decided = Arc::new(AtomicBool::new(false));
        let job = Box::new(Call {
            work,
            value: None,
            reply,
            request: RequestContext::current(),
            is_decided: Arc::clone(&is_decided),
            // The deadline is before the caller gives up, so that the caller gets the cause as its error.
            deadline: Instant::now() + self.acquire_timeout * 9 / 10,
        });
        let lane = match access {
            Access::Read => &self.reads,
            Access::LongList => &self.long_lists,
            Access::Write | Access::Transaction => &self.writes,
        };
        lane.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                METRICS.database_refused("queue_full");
                StoreError::Busy("too many calls are waiting")
            }
            TrySendError::Disconnected(_) => StoreError::Internal("no database thread is left".into()),
        })?;

        let outcome = match timeout(self.acquire_timeout, &mut answer).await {
            Ok(outcome) => outcome,
            Err(_) if !is_decided.swap(true, Ordering::AcqRel) => {
                METRICS.database_refused("timeout");
                return Err(StoreError::Busy(
                    "all readers or the only writer are busy: DATABASE_POOL_SIZE is small for this load, or another \
                     process holds the lock",
                ));
            }
            // A long list has no timeout here, because the client determines how fast the list is read.
            Err(_) if access == Access::LongList => answer.await,
            Err(_) => timeout(self.statement_timeout, answer)
                .await
                .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
        };
        // While the caller waits, the sender is dropped without an answer only if the thread panicked.
        outcome.unwrap_or_else(|_| Err(StoreError::Panicked))
    }
}

/// The work of one call, for a thread of the database.
trait Job: Send {
    /// When a connection must be available. Otherwise the job fails.
    fn deadline(&self) -> Instant;

    /// Starts the job, unless its caller no longer waits. Returns whether the job was started. From then on, the caller
    /// waits until the statement timeout.
    fn start(&mut self) -> bool;

    /// Whether the caller no longer waits, although the job was started.
    fn is_abandoned(&self) -> bool;

    /// Executes the statements. If their transaction is rolled back, they may be executed again.
    fn execute(&mut self, connection: &mut SqliteHandle, runtime: &Runtime) -> Result<(), StoreError>;

    /// Sends the result of the last execution to the caller, or an error if the transaction has failed.
    fn reply(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Call<T, W> {
    work: W,
    /// The result of the last execution that succeeded.
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    request: Option<RequestContext>,
    /// The thread sets this flag to start the job, and the caller sets it to abandon the job. The first one decides.
    is_decided: Arc<AtomicBool>,
    deadline: Instant,
}

impl<T, W> Job for Call<T, W>
where
    T: Send,
    W: AsyncFn(&mut Connection<'_>) -> QueryResult<T> + Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn start(&mut self) -> bool {
        !self.is_abandoned() && !self.is_decided.swap(true, Ordering::AcqRel)
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn execute(&mut self, connection: &mut SqliteHandle, runtime: &Runtime) -> Result<(), StoreError> {
        let mut run = || {
            let mut connection = Connection::Sqlite(connection);
            let work = AssertUnwindSafe(|| runtime.block_on((self.work)(&mut connection)));
            match catch_unwind(work) {
                Ok(outcome) => outcome.map_err(|error| {
                    log::debug!("{}", describe(&error));
                    StoreError::from(error)
                }),
                // The panic hook has logged the panic.
                Err(_) => Err(StoreError::Panicked),
            }
        };
        let outcome = match self.request.clone() {
            Some(request) => request.sync_scope(run),
            None => run(),
        };
        self.value = Some(outcome?);
        Ok(())
    }

    fn reply(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let _ = reply.send(outcome.and_then(|()| value.ok_or(StoreError::Panicked)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_only_connection_is_used_again_after_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let (file, timeout) = (folder.path().join("todo.db"), Duration::from_secs(10));
        let sqlite = Sqlite::open(&file, 1, timeout, timeout);
        for access in [Access::Read, Access::Write] {
            let panicking = async |connection: &mut Connection<'_>| -> QueryResult<()> {
                let work = async |_: &mut Connection<'_>| -> QueryResult<()> { panic!("on purpose") };
                connection.transaction(work).await
            };
            let outcome = sqlite.run(access, panicking).await;
            assert!(matches!(outcome, Err(StoreError::Panicked)), "{outcome:?}");
            sqlite.check_file().unwrap();
            let create = async |connection: &mut Connection<'_>| {
                let create = "CREATE TABLE IF NOT EXISTS created (number)";
                connection.batch_execute(create).await
            };
            sqlite.run(Access::Write, create).await.unwrap();
        }
    }
}
