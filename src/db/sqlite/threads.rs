//! The threads that do the jobs of the embedded database, and the checkpoints between the writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use diesel::connection::SimpleConnection as _;
use r2d2::PooledConnection;
use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Runtime};

use super::file::DatabaseFile;
use super::manager::{Manager, SqliteHandle};
use super::{Job, Pool};
use crate::db::StoreError;

/// The minimum number of writes between two checkpoints. A create changes about ten pages of 4 KiB and a toggle
/// three, so the log grows by about 5 MiB during this number of creates. More checkpoints would lower the throughput.
/// With fewer checkpoints, each one would take longer, and writes would wait longer for it.
const WRITES_PER_CHECKPOINT: usize = 128;

/// How many writes are committed together at most.
const MAX_WRITES_PER_TRANSACTION: usize = 64;

/// No further write is added to a transaction that has taken this long, because its first write waits for its commit.
const MAX_TIME_PER_TRANSACTION: Duration = Duration::from_millis(20);

/// The nice value of the threads that read long lists (`man 2 setpriority`). That of the other threads is usually 0, so
/// they have a higher priority.
const LONG_LIST_NICENESS: i32 = 10;

pub fn spawn_reader(pool: &Pool, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-read", pool, move |pool, runtime| {
        run_reads(&jobs, pool, runtime);
    });
}

/// A long list takes much processor time. With a lower priority it hardly delays other calls.
pub fn spawn_list_reader(pool: &Pool, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-list", pool, move |pool, runtime| {
        // On Linux, this changes only the priority of the calling thread.
        if let Err(error) = setpriority_process(None, LONG_LIST_NICENESS) {
            log::debug!("the priority of long lists cannot be lowered: {error}");
        }
        run_reads(&jobs, pool, runtime);
    });
}

pub fn spawn_writer(pool: &Pool, file: Arc<DatabaseFile>, jobs: Receiver<Box<dyn Job>>) {
    spawn("db-write", pool, move |pool, runtime| {
        let mut writes = 0;
        for mut job in &jobs {
            match connect(pool, &*job) {
                Err(error) => job.reply(Err(error)),
                Ok(mut connection) if job.start() => {
                    let mut writer = Writer {
                        connection: &mut connection,
                        file: &file,
                        runtime,
                    };
                    writes += writer.write(job, &jobs);
                    if writes >= WRITES_PER_CHECKPOINT {
                        writes = 0;
                        checkpoint(&mut connection);
                    }
                }
                Ok(_) => {}
            }
        }
    });
}

fn run_reads(jobs: &Receiver<Box<dyn Job>>, pool: &Pool, runtime: &Runtime) {
    for mut job in jobs {
        match connect(pool, &*job) {
            Err(error) => job.reply(Err(error)),
            Ok(mut connection) if job.start() => {
                let outcome = job.execute(&mut connection, runtime);
                if outcome.is_err() {
                    // This fails unless a panic has interrupted a transaction.
                    let _ = connection.inner.batch_execute("ROLLBACK");
                }
                drop(connection);
                job.reply(outcome);
            }
            Ok(_) => {}
        }
    }
}

struct Writer<'a> {
    connection: &'a mut SqliteHandle,
    file: &'a DatabaseFile,
    runtime: &'a Runtime,
}

impl Writer<'_> {
    /// Executes the first job and those that wait behind it in one transaction, because a write spends most of its time
    /// waiting for the disk at the commit. The callers get their results after the commit. If the transaction of several
    /// jobs fails, each of them is executed again in a transaction of its own, so that a failing call affects no other.
    /// Returns the number of jobs.
    fn write(&mut self, first: Box<dyn Job>, waiting: &Receiver<Box<dyn Job>>) -> usize {
        let began = Instant::now();
        let mut jobs = vec![first];
        let outcome = self.in_transaction(|writer| {
            let mut next = 0;
            while next < jobs.len() {
                jobs[next].execute(writer.connection, writer.runtime)?;
                next += 1;
                if next < MAX_WRITES_PER_TRANSACTION && began.elapsed() < MAX_TIME_PER_TRANSACTION {
                    jobs.extend(waiting.try_iter().find_map(|mut job| job.start().then_some(job)));
                }
            }
            Ok(())
        });
        let count = jobs.len();
        for mut job in jobs {
            let outcome = match &outcome {
                Err(_) if count > 1 && !job.is_abandoned() => {
                    self.in_transaction(|writer| job.execute(writer.connection, writer.runtime))
                }
                outcome => outcome.clone(),
            };
            job.reply(outcome);
        }
        count
    }

    fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let outcome = self.try_in_transaction(work);
        self.connection.is_in_batch = false;
        if outcome.is_err() {
            // This fails if there is no transaction, for example because SQLite has ended it.
            let _ = self.connection.inner.batch_execute("ROLLBACK");
        }
        outcome
    }

    fn try_in_transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.connection.inner.batch_execute("BEGIN IMMEDIATE")?;
        self.connection.is_in_batch = true;
        work(self)?;
        self.file.check().map_err(StoreError::Unavailable)?;
        Ok(self.connection.inner.batch_execute("COMMIT")?)
    }
}

fn connect(pool: &Pool, job: &dyn Job) -> Result<PooledConnection<Manager>, StoreError> {
    let remaining = job.deadline().saturating_duration_since(Instant::now());
    pool.get_timeout(remaining.max(Duration::from_millis(1)))
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Copies the write-ahead log into the database file, so that the log can start from its beginning again.
///
/// By default, SQLite makes a checkpoint in each commit while the log is long. But the snapshot of a long list
/// prevents the log from starting again, and each checkpoint sorts all pages of the log: after 6,000 commits during a
/// long list, a commit took seven times as long.
pub fn checkpoint(connection: &mut SqliteHandle) {
    if let Err(error) = connection.inner.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
        log::debug!("the write-ahead log cannot be copied into the database file: {error}");
    }
}

/// Starts a thread that executes `run`. If `run` panics, the thread executes it again.
fn spawn(name: &str, pool: &Pool, run: impl Fn(&Pool, &Runtime) + Send + 'static) {
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime can be created");
    let pool = pool.clone();
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    thread::Builder::new()
        .name(name.into())
        .spawn(
            move || {
                while catch_unwind(AssertUnwindSafe(|| run(&pool, &runtime))).is_err() {}
            },
        )
        .expect("a thread can be started");
}
