//! The threads that do the jobs of the embedded database, and the checkpoints between the writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::Receiver;
use diesel::connection::SimpleConnection as _;
use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Runtime};

use super::{Job, Pool};

/// The number of writes between two checkpoints. A create changes about ten pages of 4 KiB and a toggle three, so the
/// log grows by 3 to 10 MiB in between. More checkpoints would lower the throughput; fewer would take longer each, and
/// writes wait for them.
const WRITES_PER_CHECKPOINT: u32 = 256;

/// How much the priority of the threads that read long lists is lowered (`man 2 setpriority`).
const LONG_LIST_NICENESS: i32 = 10;

pub fn spawn_reader(pool: &Pool, jobs: Receiver<Job>) {
    spawn("db-read", pool, move |pool, runtime| {
        run_jobs(&jobs, pool, runtime, || {});
    });
}

/// A long list takes much processor time. With a lower priority it hardly delays other calls.
pub fn spawn_list_reader(pool: &Pool, jobs: Receiver<Job>) {
    spawn("db-list", pool, move |pool, runtime| {
        // On Linux, this changes only the priority of the calling thread.
        if let Err(error) = setpriority_process(None, LONG_LIST_NICENESS) {
            log::debug!("the priority of long lists cannot be lowered: {error}");
        }
        run_jobs(&jobs, pool, runtime, || {});
    });
}

pub fn spawn_writer(pool: &Pool, jobs: Receiver<Job>) {
    spawn("db-write", pool, move |pool, runtime| {
        let mut writes = 0;
        run_jobs(&jobs, pool, runtime, || {
            writes += 1;
            if writes == WRITES_PER_CHECKPOINT {
                writes = 0;
                checkpoint(pool);
            }
        });
    });
}

/// Copies the write-ahead log into the database file, so that the log can start from its beginning again.
///
/// By default, SQLite does this in each commit that finds the log long. But the snapshot of a long list prevents the
/// log from starting again, and each attempt sorts all pages of the log: after 6,000 such commits, a commit took seven
/// times as long.
pub fn checkpoint(pool: &Pool) {
    let outcome = pool.get().map(|mut connection| {
        let statement = "PRAGMA wal_checkpoint(PASSIVE)";
        connection.inner.batch_execute(statement)
    });
    if !matches!(outcome, Ok(Ok(()))) {
        log::debug!("the write-ahead log cannot be copied into the database file: {outcome:?}");
    }
}

fn run_jobs(jobs: &Receiver<Job>, pool: &Pool, runtime: &Runtime, mut after_job: impl FnMut()) {
    for job in jobs {
        // The panic hook has logged a panic, and the caller responds with 500.
        let _ = catch_unwind(AssertUnwindSafe(|| job(pool, runtime)));
        after_job();
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
