//! One connection to PostgreSQL, over which statements are pipelined.
//!
//! The task that drives the connection runs on the HTTP worker that opened it, so that a query wakes no other
//! thread. Queries on the connection run on the same worker, so its state needs no synchronization between
//! threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix_web::rt;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Client, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect_error::ConnectError;

type TlsStream = <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream;
pub type Driver = tokio_postgres::Connection<Socket, TlsStream>;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// For short reads, many of which are pipelined. It also accepts writes when there are no reads.
    Reads,
    /// For writes, transactions and long lists. It also accepts reads if the connection for reads does not.
    Work,
}

/// A connection is stalled, and gets no new calls, while its oldest statement has been unanswered for longer than
/// both of these limits: a time, and a number of round trips. The latter is the longer one if the server is distant.
const STALLED_AFTER: Duration = Duration::from_millis(50);
const STALLED_AFTER_ROUND_TRIPS: u32 = 4;

/// A connection that was idle for longer than this is validated before its next use. HikariCP uses the same
/// limit. Validation before every use would double the number of round trips.
const VALIDATE_AFTER_IDLE: Duration = Duration::from_millis(500);

pub struct PgConnection {
    pub client: AsyncPgConnection,
    pub role: Role,
    pub opened: Instant,
    cancel: CancelToken,
    tls: MakeRustlsConnect,
    /// The shortest time in which a statement was answered. This estimates the network's round trip: on a busy
    /// machine, most statements take longer.
    round_trip: Cell<Duration>,
    /// The number and the start of each unanswered statement, oldest first.
    unanswered: RefCell<VecDeque<(u64, Instant)>>,
    next_statement: Cell<u64>,
    /// The number of the statement whose timeout closed the connection.
    timed_out: Cell<Option<u64>>,
    /// Whether the statement that ended last is the one in `timed_out`.
    timed_out_ended: Cell<bool>,
    last_answer: Cell<Instant>,
    /// Locked during a validation, so that concurrent calls share it.
    validation: Mutex<()>,
    /// Dropping the sender stops the driver, which fails all unanswered statements. The sender is closed when the
    /// driver has ended.
    shutdown: RefCell<Option<oneshot::Sender<()>>>,
    /// The process's count of lost connections at the time when this connection was opened or last validated.
    losses_seen: Cell<u64>,
}

/// A client that was checked, and that Diesel does not use yet.
pub struct CheckedClient {
    pub client: Client,
    pub shutdown: oneshot::Sender<()>,
    pub round_trip: Duration,
}

/// Spawns the task that drives a connection. It ends when the client or the returned sender is dropped, or when
/// the connection is lost, and then closes the returned sender.
pub fn spawn_driver(driver: Driver) -> oneshot::Sender<()> {
    let (shutdown, stopped) = oneshot::channel::<()>();
    // The runtime of an HTTP worker has only one thread, so the task runs on that worker.
    tokio::spawn(async move {
        tokio::select! {
            outcome = driver => if let Err(error) = outcome {
                log::debug!("a connection to the database ended: {error}");
            },
            _ = stopped => {}
        }
    });
    shutdown
}

impl PgConnection {
    pub async fn new(
        checked: CheckedClient,
        role: Role,
        tls: MakeRustlsConnect,
        losses: u64,
    ) -> Result<Self, ConnectError> {
        let cancel = checked.client.cancel_token();
        let client = AsyncPgConnection::try_from(checked.client).await?;
        let now = Instant::now();
        Ok(Self {
            client,
            role,
            opened: now,
            cancel,
            tls,
            round_trip: Cell::new(checked.round_trip),
            unanswered: RefCell::default(),
            next_statement: Cell::new(0),
            timed_out: Cell::new(None),
            timed_out_ended: Cell::new(false),
            last_answer: Cell::new(now),
            validation: Mutex::default(),
            shutdown: RefCell::new(Some(checked.shutdown)),
            losses_seen: Cell::new(losses),
        })
    }

    /// Runs a statement, and records it as unanswered until it ends.
    pub async fn run_statement<T>(&self, run: impl Future<Output = T>) -> T {
        let number = self.next_statement.get();
        self.next_statement.set(number + 1);
        self.unanswered.borrow_mut().push_back((number, Instant::now()));
        let mut running = RunningStatement {
            connection: self,
            number,
            is_answered: false,
        };
        let outcome = run.await;
        running.is_answered = !self.is_closed();
        outcome
    }

    pub async fn batch_execute(&self, sql: &str) -> diesel::QueryResult<()> {
        self.run_statement((&mut &self.client).batch_execute(sql)).await
    }

    pub fn round_trip(&self) -> Duration {
        self.round_trip.get()
    }

    pub fn is_closed(&self) -> bool {
        self.shutdown
            .borrow()
            .as_ref()
            .is_none_or(oneshot::Sender::is_closed)
    }

    pub fn is_idle(&self) -> bool {
        self.unanswered.borrow().is_empty()
    }

    pub fn idle_for(&self) -> Duration {
        self.last_answer.get().elapsed()
    }

    /// The time since the start of the oldest unanswered statement, or zero if there is none.
    pub fn oldest_statement_age(&self) -> Duration {
        let unanswered = self.unanswered.borrow();
        unanswered
            .front()
            .map_or(Duration::ZERO, |(_, sent)| sent.elapsed())
    }

    pub fn is_stalled(&self) -> bool {
        self.oldest_statement_age() > STALLED_AFTER.max(self.round_trip.get() * STALLED_AFTER_ROUND_TRIPS)
    }

    /// Whether the connection works. A connection that was idle is validated with a query, because it may have
    /// been lost without notice, for example when the server was suspended or a NAT entry expired. One lost
    /// connection suggests that older ones are lost too, so every connection is validated when `losses` has
    /// changed. The query may take half of the time until the deadline. The other half remains for another
    /// connection.
    pub async fn is_alive(&self, losses: u64, deadline: Instant) -> bool {
        if !self.needs_validation(losses) {
            return !self.is_closed();
        }
        let _guard = self.validation.lock().await;
        if self.needs_validation(losses) {
            let limit = deadline.saturating_duration_since(Instant::now()) / 2;
            let outcome = timeout(limit, self.batch_execute("SELECT 1")).await;
            if !matches!(outcome, Ok(Ok(()))) {
                self.close();
                return false;
            }
            self.losses_seen.set(losses);
        }
        !self.is_closed()
    }

    fn needs_validation(&self, losses: u64) -> bool {
        self.losses_seen.get() != losses || (self.is_idle() && self.idle_for() > VALIDATE_AFTER_IDLE)
    }

    /// Closes the connection because its oldest statement was not answered in time.
    pub fn close_timed_out(&self) {
        self.timed_out
            .set(self.unanswered.borrow().front().map(|(number, _)| *number));
        self.close();
    }

    /// Whether the statement that ended last is the one whose timeout closed the connection, and not a statement
    /// behind it in the pipeline. Must be called before another statement ends.
    pub fn take_timed_out(&self) -> bool {
        self.timed_out_ended.take()
    }

    /// Closes the connection, which fails all unanswered statements, and asks the server to cancel the running
    /// statement. Without this request, the statement could run for hours behind a pooler that ignores
    /// `statement_timeout`.
    pub fn close(&self) {
        self.shutdown.borrow_mut().take();
        if !self.is_idle() {
            let (cancel, tls) = (self.cancel.clone(), self.tls.clone());
            rt::spawn(async move {
                let _ = timeout(Duration::from_secs(5), cancel.cancel_query(tls)).await;
            });
        }
    }
}

/// A running statement. Dropping this value removes the statement from the unanswered statements.
struct RunningStatement<'a> {
    connection: &'a PgConnection,
    number: u64,
    /// Stays false if the caller did not wait for the answer, or if the connection was closed.
    is_answered: bool,
}

impl Drop for RunningStatement<'_> {
    fn drop(&mut self) {
        let (connection, now) = (self.connection, Instant::now());
        let mut unanswered = connection.unanswered.borrow_mut();
        let at = unanswered.iter().position(|(number, _)| *number == self.number);
        let sent = at.and_then(|at| unanswered.remove(at)).map(|(_, sent)| sent);
        if let Some(sent) = sent.filter(|_| self.is_answered) {
            connection.last_answer.set(now);
            let round_trip = connection.round_trip.get().min(now - sent);
            connection.round_trip.set(round_trip);
        }
        let timed_out_ended = connection.timed_out.get() == Some(self.number);
        connection.timed_out_ended.set(timed_out_ended);
    }
}
