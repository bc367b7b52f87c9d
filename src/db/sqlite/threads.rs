//! The threads that do the jobs of the embedded database, and the checkpoints between the writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{iter, thread};

use crossbeam_channel::Receiver;
use diesel::connection::SimpleConnection as _;
use r2d2::PooledConnection;
use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Runtime};

use super::file::DatabaseFile;
use super::manager::{Manager, SqliteHandle};
use super::{Job, Pool};
use crate::db::StoreError;

/// The number of writes between two checkpoints. A create changes about ten pages of 4 KiB and a toggle three, so the
/// log grows by 3 to 10 MiB in between. More checkpoints would lower the throughput; fewer would take longer each, and
/// writes wait for them.
const WRITES_PER_CHECKPOINT: usize = 256;

/// How many writes are committed together. This bounds how long the first one waits for the last one.
const MAX_WRITES_PER_TRANSACTION: usize = 64;

/// How much the priority of the threads that read long lists is lowered (`man 2 setpriority`).
const LONG_LIST_NICENESS: i32 = 10;

pub fn spawn_reader(pool: &Pool, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-read", pool, move |pool, runtime| read(&jobs, pool, runtime));
}

/// A long list takes much processor time. With a lower priority it hardly delays other calls.
pub fn spawn_list_reader(pool: &Pool, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-list", pool, move |pool, runtime| {
        // On Linux, this changes only the priority of the calling thread.
        if let Err(error) = setpriority_process(None, LONG_LIST_NICENESS) {
            log::debug!("the priority of long lists cannot be lowered: {error}");
        }
        read(&jobs, pool, runtime);
    });
}

pub fn spawn_writer(pool: &Pool, file: Arc<DatabaseFile>, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-write", pool, move |pool, runtime| {
        let mut writes = 0;
        for first in &jobs {
            let mut connection = match connect(pool, &*first) {
                Ok(connection) => connection,
                Err(error) => {
                    first.reply(Err(error));
                    continue;
                }
            };
            writes += write(first, &jobs, &mut connection, &file, runtime);
            if writes >= WRITES_PER_CHECKPOINT {
                writes = 0;
                checkpoint(&mut connection);
            }
        }
    });
}

fn read(jobs: &Receiver<Box<dyn Job>>, pool: &Pool, runtime: &Runtime) {
    for job in jobs {
        match connect(pool, &*job) {
            Err(error) => job.reply(Err(error)),
            Ok(mut connection) => {
                let executed = execute(job, &mut connection, runtime);
                drop(connection);
                if let Some((job, _)) = executed {
                    job.reply(Ok(()));
                }
            }
        }
    }
}

/// Executes the first job and those that wait behind it in one transaction, because most of the time of a write is the
/// time of its commit, which waits for the disk. The callers get their results after the commit. Returns the number of
/// jobs.
fn write(
    first: Box<dyn Job>,
    waiting: &Receiver<Box<dyn Job>>,
    connection: &mut SqliteHandle,
    file: &DatabaseFile,
    runtime: &Runtime,
) -> usize {
    let begun = file
        .check()
        .map_err(StoreError::Unavailable)
        .and_then(|()| Ok(connection.inner.batch_execute("BEGIN IMMEDIATE")?));
    if let Err(error) = begun {
        first.reply(Err(error));
        return 0;
    }
    connection.is_in_transaction = true;
    let mut executed = Vec::new();
    let mut failure = None;
    for job in iter::once(first)
        .chain(waiting.try_iter())
        .take(MAX_WRITES_PER_TRANSACTION)
    {
        match execute(job, connection, runtime) {
            Some((job, outcome)) => {
                executed.push(job);
                failure = outcome.err();
            }
            None => {
                failure = Some(StoreError::Unavailable(
                    "a write in the same transaction panicked".into(),
                ));
            }
        }
        // After most errors, the other statements of the transaction can be committed. After some, such as a full disk,
        // SQLite has rolled back the transaction, and then the commit fails.
        if failure.is_some() {
            break;
        }
    }
    let committed = connection.inner.batch_execute("COMMIT").map_err(|error| {
        // This fails if there is no transaction any more.
        let _ = connection.inner.batch_execute("ROLLBACK");
        failure.unwrap_or(error.into())
    });
    connection.is_in_transaction = false;
    let count = executed.len();
    for job in executed {
        job.reply(committed.clone());
    }
    count
}

/// Returns `None` if the job panicked. Its transaction is then rolled back. The panic hook has logged the panic, and the
/// caller responds with 500.
fn execute(
    mut job: Box<dyn Job>,
    connection: &mut SqliteHandle,
    runtime: &Runtime,
) -> Option<(Box<dyn Job>, Result<(), StoreError>)> {
    let executed = catch_unwind(AssertUnwindSafe(|| job.execute(connection, runtime)));
    if executed.is_err() {
        // This fails if there is no transaction.
        let _ = connection.inner.batch_execute("ROLLBACK");
    }
    Some((job, executed.ok()?))
}

fn connect(pool: &Pool, job: &dyn Job) -> Result<PooledConnection<Manager>, StoreError> {
    let remaining = job.deadline().saturating_duration_since(Instant::now());
    pool.get_timeout(remaining.max(Duration::from_millis(1)))
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Copies the write-ahead log into the database file, so that the log can start from its beginning again.
///
/// By default, SQLite does this in each commit that finds the log long. But the snapshot of a long list prevents the
/// log from starting again, and each attempt sorts all pages of the log: after 6,000 such commits, a commit took seven
/// times as long.
pub fn checkpoint(connection: &mut SqliteHandle) {
    if let Err(error) = connection.inner.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
        log::debug!("the write-ahead log cannot be copied into the database file: {error}");
    }
}

fn spawn(name: &str, pool: &Pool, run: impl FnOnce(&Pool, &Runtime) + Send + 'static) {
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime can be created");
    let pool = pool.clone();
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    thread::Builder::new()
        .name(name.into())
        .spawn(move || run(&pool, &runtime))
        .expect("a thread can be started");
}
