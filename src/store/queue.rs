//! The way to the database: as many threads as the pool has connections, fed by bounded channels.
//!
//! A job waits in line, bounded in time and in number, and then has a thread and a connection to itself.
//! Measured against a blocking pool that asks for a connection inside of each job, this halves the
//! processor time of a call (docs/ARCHITECTURE.md).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::Connection;
use super::error::{StoreError, is_kind, lost_connection};
use super::manager::Manager;
use super::pooler::Pooler;
use crate::logging::RequestId;
use crate::metrics::METRICS;
use diesel::QueryResult;
use diesel::result::DatabaseErrorKind;

/// What a job needs of the database. On PostgreSQL it is all the same; SQLite has one writer at a time,
/// and giving it a thread of its own makes writers queue where they would fail or poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Changes nothing, so it may be run again when its connection turns out to be dead.
    Read,
    /// Is never run again when its connection is lost on the way: it may have taken place.
    Write,
    /// Writes, but finds out by itself whether it has taken place.
    RepeatableWrite,
}

impl Access {
    pub fn writing(self) -> Self {
        match self {
            Self::Read => Self::RepeatableWrite,
            other => other,
        }
    }
}

/// How many jobs may wait for each connection before others are turned away at once.
const QUEUED_PER_CONNECTION: usize = 64;

/// A read is tried on so many connections at most: after a restart of the server, several may be dead.
const TRIES: usize = 3;

type Pool = r2d2::Pool<Manager>;
type Job = Box<dyn FnOnce(&Pool) + Send>;

pub(super) struct Queue {
    reads: Sender<Job>,
    writes: Sender<Job>,
    pooler: Arc<Pooler>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

/// Where a job is: whoever moves it on from waiting owns it.
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

impl Queue {
    pub fn start(
        pool: &Pool,
        pooler: Arc<Pooler>,
        one_writer: bool,
        acquire_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let connections = pool.max_size() as usize;
        let lane = |name: &str, threads: usize| {
            let (sender, receiver) = bounded(connections * QUEUED_PER_CONNECTION);
            for _ in 0..threads {
                spawn(name, pool.clone(), receiver.clone());
            }
            sender
        };
        let (reads, writes) = if one_writer {
            (lane("db-read", connections - 1), lane("db-write", 1))
        } else {
            let both = lane("db", connections);
            (both.clone(), both)
        };
        Self {
            reads,
            writes,
            pooler,
            acquire_timeout,
            statement_timeout,
        }
    }

    /// How many jobs wait for a connection.
    pub fn waiting(&self) -> usize {
        self.reads.len() + if self.one_writer() { self.writes.len() } else { 0 }
    }

    /// Runs `work` on a database thread. Answers within the acquire timeout if no connection comes free,
    /// and within the statement timeout after that whatever the database does: behind a pooler nobody
    /// but us ends a wait.
    pub async fn submit<T: Send + 'static>(
        &self,
        access: Access,
        mut work: impl FnMut(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, mut answer) = oneshot::channel();
        let ticket = Arc::new(Ticket(AtomicU8::new(Ticket::WAITING)));
        // Somewhat sooner than the client is given up on, so that it hears the cause.
        let deadline = Instant::now() + self.acquire_timeout * 9 / 10;
        let request = RequestId::current();
        let job: Job = Box::new({
            let (ticket, pooler) = (Arc::clone(&ticket), Arc::clone(&self.pooler));
            move |pool| {
                // The client may have been answered already.
                if !reply.is_closed() {
                    let attempts = Attempts {
                        pool,
                        pooler: &pooler,
                        deadline,
                        access,
                    };
                    let mut run = || attempts.attempt(&ticket, &mut work);
                    let _ = reply.send(match request {
                        Some(id) => id.sync_scope(run),
                        None => run(),
                    });
                }
            }
        });
        let lane = match access {
            Access::Read => &self.reads,
            Access::Write | Access::RepeatableWrite => &self.writes,
        };
        lane.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                METRICS.turned_away("queue_full");
                StoreError::Busy("too many calls are waiting")
            }
            TrySendError::Disconnected(_) => StoreError::Internal("no database thread is left".into()),
        })?;

        let outcome = match timeout(self.acquire_timeout, &mut answer).await {
            Ok(outcome) => outcome,
            Err(_) if ticket.take(Ticket::ABANDONED) => {
                METRICS.turned_away("timeout");
                return Err(StoreError::Busy(self.bottleneck(access)));
            }
            Err(_) => timeout(self.statement_timeout, answer)
                .await
                .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
        };
        // A job that panicked dropped its end of the line.
        outcome.unwrap_or_else(|_| Err(StoreError::Panicked))
    }

    /// SQLite's has a lane of its own.
    fn one_writer(&self) -> bool {
        !self.reads.same_channel(&self.writes)
    }

    /// For whoever reads the log at night.
    fn bottleneck(&self, access: Access) -> &'static str {
        if self.one_writer() && access != Access::Read {
            "SQLite's one writer is busy, or another process holds its lock"
        } else {
            "all connections are in use: the database is slow, or DATABASE_POOL_SIZE is small for this load"
        }
    }
}

struct Attempts<'a> {
    pool: &'a Pool,
    pooler: &'a Pooler,
    deadline: Instant,
    access: Access,
}

impl Attempts<'_> {
    fn attempt<T>(
        &self,
        ticket: &Ticket,
        work: &mut impl FnMut(&mut Connection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        for attempt in 1.. {
            let remaining = self.deadline.saturating_duration_since(Instant::now());
            let mut conn = self
                .pool
                .get_timeout(remaining.max(Duration::from_millis(1)))
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            if attempt == 1 && !ticket.take(Ticket::STARTED) {
                break;
            }
            match work(&mut conn) {
                Ok(value) => {
                    conn.last_used = Instant::now();
                    return Ok(value);
                }
                Err(error) => {
                    let again = self.again(&mut conn, &error);
                    if !again || attempt == TRIES {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(StoreError::Busy("the client was answered meanwhile"))
    }

    /// Only what cannot have taken place, or changes nothing, is run again.
    fn again(&self, conn: &mut Connection, error: &diesel::result::Error) -> bool {
        let lost = lost_connection(error);
        let did_not_run = self.pooler.shown_by(error);
        if lost {
            self.pooler.note_loss();
        }
        // A server that turned read-only is no longer the one to talk to.
        let demoted = is_kind(error, DatabaseErrorKind::ReadOnlyTransaction);
        conn.broken |= lost || did_not_run || demoted;
        did_not_run || (lost && self.access != Access::Write)
    }
}

fn spawn(name: &str, pool: Pool, jobs: Receiver<Job>) {
    let run = move || {
        for job in jobs {
            // The panic itself was logged by the hook; the client gets a 500.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&pool)));
        }
    };
    #[expect(clippy::expect_used, reason = "without its threads the service cannot work")]
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .expect("a thread can be started");
}
