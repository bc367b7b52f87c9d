//! One connection to PostgreSQL, over which statements are pipelined.
//!
//! The task that drives it runs on the HTTP worker that opened it, so that a query wakes no other thread. No
//! state is shared between threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Short reads, pipelined to any depth.
    Reads,
    /// Everything that may wait for a lock or for the disk, and long lists.
    Work,
}

/// If a statement has been unanswered for this long, the connection gets no new ones. For a distant server, the
/// limit is a number of round trips instead.
const STALLED_AFTER: Duration = Duration::from_millis(50);
const STALLED_AFTER_ROUND_TRIPS: u32 = 4;

/// A connection that was idle for this long is checked before its next use, as in HikariCP. A check before
/// every use would double the round trips.
const ASK_AFTER: Duration = Duration::from_millis(500);

pub struct PgConnection {
    pub client: AsyncPgConnection,
    pub role: Role,
    pub opened: Instant,
    cancel: CancelToken,
    tls: MakeRustlsConnect,
    /// The shortest time that a statement has taken. On a busy machine, most take longer than the network needs.
    round_trip: Cell<Duration>,
    /// When each unanswered statement was sent, oldest first.
    unanswered: RefCell<VecDeque<(u64, Instant)>>,
    next_statement: Cell<u64>,
    /// The statement whose timeout closed the connection.
    overdue: Cell<Option<u64>>,
    overdue_ended: Cell<bool>,
    last_answer: Cell<Instant>,
    /// Locked while the connection is checked, so that one check serves all calls that wait for it.
    probe: Mutex<()>,
    closed: Arc<AtomicBool>,
    /// Dropped to stop the driver, which fails all unanswered statements.
    shutdown: RefCell<Option<oneshot::Sender<()>>>,
    /// The process's count of lost connections when this one was last known to work.
    losses_seen: Cell<u64>,
}

/// A client that was checked, and has not been given to Diesel yet.
pub struct Checked {
    pub client: Client,
    pub closed: Arc<AtomicBool>,
    pub shutdown: oneshot::Sender<()>,
    pub round_trip: Duration,
}

/// Drives a connection in the background, until the client or `shutdown` is dropped.
pub fn drive(driver: Driver) -> (Arc<AtomicBool>, oneshot::Sender<()>) {
    let (shutdown, stopped) = oneshot::channel::<()>();
    let closed = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&closed);
    // The runtime of an HTTP worker has one thread, so the task stays on the worker.
    tokio::spawn(async move {
        tokio::select! {
            outcome = driver => if let Err(error) = outcome {
                log::debug!("a connection to the database ended: {error}");
            },
            _ = stopped => {}
        }
        ended.store(true, Ordering::Relaxed);
    });
    (closed, shutdown)
}

impl PgConnection {
    pub async fn new(
        checked: Checked,
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
            overdue: Cell::new(None),
            overdue_ended: Cell::new(false),
            last_answer: Cell::new(now),
            probe: Mutex::default(),
            closed: checked.closed,
            shutdown: RefCell::new(Some(checked.shutdown)),
            losses_seen: Cell::new(losses),
        })
    }

    /// Runs a statement and records that it is unanswered meanwhile.
    pub async fn statement<T>(&self, run: impl Future<Output = T>) -> T {
        let number = self.next_statement.get();
        self.next_statement.set(number + 1);
        self.unanswered.borrow_mut().push_back((number, Instant::now()));
        let mut running = Running {
            connection: self,
            number,
            is_answered: false,
        };
        let outcome = run.await;
        running.is_answered = !self.is_closed();
        outcome
    }

    pub async fn batch(&self, sql: &str) -> diesel::QueryResult<()> {
        self.statement((&mut &self.client).batch_execute(sql)).await
    }

    pub fn round_trip(&self) -> Duration {
        self.round_trip.get()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub fn is_idle(&self) -> bool {
        self.unanswered.borrow().is_empty()
    }

    pub fn idle_for(&self) -> Duration {
        self.last_answer.get().elapsed()
    }

    /// How long the oldest unanswered statement has been waiting.
    pub fn waiting_for(&self) -> Duration {
        let unanswered = self.unanswered.borrow();
        unanswered
            .front()
            .map_or(Duration::ZERO, |(_, sent)| sent.elapsed())
    }

    pub fn is_stalled(&self) -> bool {
        self.waiting_for() > STALLED_AFTER.max(self.round_trip.get() * STALLED_AFTER_ROUND_TRIPS)
    }

    /// Checks a connection that may have died without notice, as with a suspended server or an expired NAT
    /// entry. One dead connection suggests that older ones are dead too, so all connections are checked again
    /// when `losses` has changed. The check may take half of the time until the deadline; the rest is for
    /// another connection.
    pub async fn is_alive(&self, losses: u64, deadline: Instant) -> bool {
        if !self.is_doubtful(losses) {
            return !self.is_closed();
        }
        let _turn = self.probe.lock().await;
        if self.is_doubtful(losses) {
            let patience = deadline.saturating_duration_since(Instant::now()) / 2;
            let answered = timeout(patience, self.batch("SELECT 1")).await;
            if !matches!(answered, Ok(Ok(()))) {
                self.close();
                return false;
            }
            self.losses_seen.set(losses);
        }
        !self.is_closed()
    }

    fn is_doubtful(&self, losses: u64) -> bool {
        self.losses_seen.get() != losses || (self.is_idle() && self.idle_for() > ASK_AFTER)
    }

    /// Closes the connection because its oldest statement was not answered in time.
    pub fn close_overdue(&self) {
        self.overdue
            .set(self.unanswered.borrow().front().map(|(number, _)| *number));
        self.close();
    }

    /// Whether the failed statement is the one whose timeout closed the connection. The statements behind it
    /// did not cause the timeout.
    pub fn take_overdue(&self) -> bool {
        self.overdue_ended.take()
    }

    /// Fails all unanswered statements and asks the server to cancel them. Behind a pooler that ignores
    /// `statement_timeout`, they could run for hours.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.shutdown.borrow_mut().take();
        if !self.is_idle() {
            let (cancel, tls) = (self.cancel.clone(), self.tls.clone());
            rt::spawn(async move {
                let _ = timeout(Duration::from_secs(5), cancel.cancel_query(tls)).await;
            });
        }
    }
}

struct Running<'a> {
    connection: &'a PgConnection,
    number: u64,
    /// False if the caller did not wait for the answer, or the connection was closed.
    is_answered: bool,
}

impl Drop for Running<'_> {
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
        let overdue_ended = connection.overdue.get() == Some(self.number);
        connection.overdue_ended.set(overdue_ended);
    }
}
