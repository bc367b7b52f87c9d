//! The connections of one HTTP worker: one for short reads, the others for everything that may wait.
//!
//! Each worker has its own, so that no lock is taken and no thread is woken between a request and its
//! statement. What belongs to the whole process is in [`Process`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::rt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};

use super::connect::Connector;
use super::connection::{PgConnection, Role};
use crate::db::{Access, StoreError};
use crate::domain::UserId;
use crate::metrics::METRICS;

/// How many writes may be pipelined on a connection to a distant server when all connections are busy. Eight
/// triple the throughput where a round trip takes 2 ms. On the same machine they gain nothing, and one at a time
/// has an advantage: a statement that waits for a lock delays no other, and what was refused for taking too long
/// cannot take place later.
const WRITE_PIPELINE_DEPTH: usize = 8;

/// A server to which a round trip takes longer is distant.
const DISTANT: Duration = Duration::from_micros(500);

/// How many calls may wait or be under way for each connection before others are refused at once.
const CALLS_PER_CONNECTION: usize = 64;

/// Idle connections are closed after this long, so that a serverless database can suspend.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How much longer than the server a connection's oldest statement may take: the server's own timeout is to
/// come first where the server keeps it.
const STATEMENT_GRACE: Duration = Duration::from_secs(1);

const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// What the HTTP workers of a process share.
pub struct Process {
    pub connector: Connector,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    /// How many connections each worker may have; at least two.
    pub connections_per_worker: usize,
    pub open: AtomicU32,
    pub in_use: AtomicU32,
    pub waiting: AtomicUsize,
    /// How many connections turned out to be dead.
    losses: AtomicU64,
    /// The database could not be reached when last tried, though it could before.
    outage: AtomicBool,
    reached: AtomicBool,
}

impl Process {
    pub fn new(
        connector: Connector,
        acquire_timeout: Duration,
        statement_timeout: Duration,
        connections_per_worker: usize,
    ) -> Self {
        Self {
            connector,
            acquire_timeout,
            statement_timeout,
            connections_per_worker,
            open: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            waiting: AtomicUsize::new(0),
            losses: AtomicU64::new(0),
            outage: AtomicBool::new(false),
            reached: AtomicBool::new(false),
        }
    }

    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    pub fn note_loss(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// An outage is one line at its beginning, which says why, and one at its end; attempts are many.
    pub fn note_attempt(&self, outcome: Result<(), &str>) {
        match outcome {
            Ok(()) => {
                self.reached.store(true, Ordering::Relaxed);
                if self.outage.swap(false, Ordering::Relaxed) {
                    log::info!("the database can be reached again");
                }
            }
            // That the first attempt fails is logged by whoever starts the service.
            Err(error) if self.reached.load(Ordering::Relaxed) => {
                if !self.outage.swap(true, Ordering::Relaxed) {
                    log::warn!("the database cannot be reached: {error}");
                }
            }
            Err(_) => {}
        }
    }
}

/// How a call wants to use a connection.
#[derive(Clone, Debug)]
pub struct Claim {
    pub access: Access,
    /// Whose call it is; the service itself only reads.
    pub user: Option<UserId>,
}

/// A connection, the calls on it, and whose they are.
struct Entry {
    connection: Rc<PgConnection>,
    /// One user for each call that is not a read.
    users: Vec<Option<UserId>>,
    reads: usize,
    /// Nobody else may use it.
    exclusive: bool,
}

impl Entry {
    fn calls(&self) -> usize {
        self.users.len() + self.reads
    }

    /// Whether one more call may be pipelined.
    fn has_room(&self) -> bool {
        let depth = match self.connection.round_trip > DISTANT {
            true => WRITE_PIPELINE_DEPTH,
            false => 1,
        };
        self.calls() < depth
    }

    fn is_usable(&self) -> bool {
        let expired = self.connection.opened.elapsed() > MAX_LIFETIME;
        !self.exclusive && !expired && !self.connection.is_closed() && !self.connection.is_stalled()
    }
}

struct Waiter {
    claim: Claim,
    granted: oneshot::Sender<Lease>,
}

pub struct WorkerPool {
    pub process: Arc<Process>,
    entries: RefCell<Vec<Entry>>,
    /// How many connections are being opened, of each role.
    opening: [Cell<usize>; 2],
    waiters: RefCell<VecDeque<Waiter>>,
    last_error: RefCell<Option<String>>,
    sweeping: Cell<bool>,
}

/// The right to use a connection.
pub struct Lease {
    pool: Rc<WorkerPool>,
    pub connection: Rc<PgConnection>,
    claim: Claim,
    /// Whether the work came to its end. One that was given up in its middle, by a panic, may have left a
    /// transaction open.
    pub finished: bool,
}

impl Lease {
    pub fn note_loss(&self) {
        self.pool.process.note_loss();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close();
        }
        self.pool.release(&self.connection, &self.claim);
    }
}

impl WorkerPool {
    pub fn new(process: Arc<Process>) -> Rc<Self> {
        Rc::new(Self {
            process,
            entries: RefCell::default(),
            opening: Default::default(),
            waiters: RefCell::default(),
            last_error: RefCell::default(),
            sweeping: Cell::new(false),
        })
    }

    /// A connection that lives, within the acquire timeout.
    pub async fn acquire(self: &Rc<Self>, claim: Claim, deadline: Instant) -> Result<Lease, StoreError> {
        loop {
            let mut lease = match self.try_acquire(&claim) {
                Some(lease) => lease,
                None => self.wait(claim.clone(), deadline).await?,
            };
            let losses = self.process.losses();
            let patience = deadline.saturating_duration_since(Instant::now()) / 2;
            if lease.connection.is_alive(losses, patience).await {
                return Ok(lease);
            }
            self.process.note_loss();
            lease.finished = true;
        }
    }

    async fn wait(self: &Rc<Self>, claim: Claim, deadline: Instant) -> Result<Lease, StoreError> {
        let (granted, lease) = oneshot::channel();
        {
            let mut waiters = self.waiters.borrow_mut();
            let places = self.process.connections_per_worker * CALLS_PER_CONNECTION;
            let own = waiters.iter().filter(|waiter| waiter.claim.user == claim.user);
            if waiters.len() >= places || own.count() >= places / 2 {
                METRICS.turned_away("queue_full");
                return Err(StoreError::Busy("too many calls are waiting"));
            }
            waiters.push_back(Waiter { claim, granted });
        }
        self.process.waiting.fetch_add(1, Ordering::Relaxed);
        let outcome = timeout_at(deadline.into(), lease).await;
        self.process.waiting.fetch_sub(1, Ordering::Relaxed);
        match outcome {
            Ok(Ok(lease)) => Ok(lease),
            _ => {
                // The receiver is dropped by now, so that the waiter is skipped when its turn comes.
                self.waiters
                    .borrow_mut()
                    .retain(|waiter| !waiter.granted.is_closed());
                METRICS.turned_away("timeout");
                Err(match self.last_error.borrow().clone() {
                    Some(error) => StoreError::Unavailable(error),
                    None => StoreError::Busy(
                        "all connections are in use: the database is slow, or DATABASE_POOL_SIZE is small for \
                         this load",
                    ),
                })
            }
        }
    }

    fn try_acquire(self: &Rc<Self>, claim: &Claim) -> Option<Lease> {
        let mut entries = self.entries.borrow_mut();
        let chosen = match claim.access {
            Access::Read => self.choose_for_read(&entries),
            Access::Write => self.choose_for_write(&entries, &claim.user),
            Access::Transaction | Access::LongList => self.choose_exclusive(&entries, &claim.user),
        };
        let Some(chosen) = chosen else {
            drop(entries);
            return None;
        };
        let entry = &mut entries[chosen];
        if entry.calls() == 0 {
            self.process.in_use.fetch_add(1, Ordering::Relaxed);
        }
        match claim.access {
            Access::Read => entry.reads += 1,
            _ => entry.users.push(claim.user.clone()),
        }
        entry.exclusive = matches!(claim.access, Access::Transaction | Access::LongList);
        Some(Lease {
            pool: Rc::clone(self),
            connection: Rc::clone(&entry.connection),
            claim: claim.clone(),
            finished: false,
        })
    }

    /// The connection for reads, whatever is on it; another one while that one is not there or stalls.
    fn choose_for_read(self: &Rc<Self>, entries: &[Entry]) -> Option<usize> {
        let most = self.process.connections_per_worker * CALLS_PER_CONNECTION;
        let reader = entries
            .iter()
            .position(|entry| entry.connection.role == Role::Reads);
        match reader {
            Some(at) if entries[at].is_usable() && entries[at].reads < most => return Some(at),
            Some(_) => {}
            None => self.open_another(entries, Role::Reads),
        }
        let others = entries.iter().enumerate().filter(|(_, entry)| {
            entry.connection.role == Role::Work && entry.is_usable() && entry.has_room()
        });
        let least = others.min_by_key(|(_, entry)| entry.calls()).map(|(at, _)| at);
        if least.is_none() {
            self.open_another(entries, Role::Work);
        }
        least
    }

    /// An idle connection, or else the least busy one. The writes of one user share a connection (a quarter
    /// of them where there are many): where they wait for a row that somebody has locked, nobody else does.
    fn choose_for_write(self: &Rc<Self>, entries: &[Entry], user: &Option<UserId>) -> Option<usize> {
        let own = |entry: &Entry| entry.users.contains(user);
        let taken = entries.iter().filter(|entry| own(entry)).count();
        let may_spread = taken < self.quarter();
        let candidates = entries.iter().enumerate().filter(|(_, entry)| {
            entry.connection.role == Role::Work
                && entry.is_usable()
                && entry.has_room()
                && (may_spread || own(entry))
        });
        let least = candidates.min_by_key(|(_, entry)| entry.calls());
        if may_spread && least.is_none_or(|(_, entry)| entry.calls() > 0) {
            self.open_another(entries, Role::Work);
        }
        least.map(|(at, _)| at)
    }

    fn choose_exclusive(self: &Rc<Self>, entries: &[Entry], user: &Option<UserId>) -> Option<usize> {
        if entries.iter().filter(|entry| entry.users.contains(user)).count() >= self.quarter() {
            return None;
        }
        let idle = entries
            .iter()
            .position(|entry| entry.connection.role == Role::Work && entry.is_usable() && entry.calls() == 0);
        if idle.is_none() {
            self.open_another(entries, Role::Work);
        }
        idle
    }

    fn quarter(&self) -> usize {
        (self.process.connections_per_worker / 4).max(1)
    }

    fn release(self: &Rc<Self>, connection: &Rc<PgConnection>, claim: &Claim) {
        {
            let mut entries = self.entries.borrow_mut();
            let at = entries
                .iter()
                .position(|entry| Rc::ptr_eq(&entry.connection, connection));
            let Some(at) = at else { return };
            let entry = &mut entries[at];
            match claim.access {
                Access::Read => entry.reads -= 1,
                _ => {
                    if let Some(own) = entry.users.iter().position(|user| *user == claim.user) {
                        entry.users.swap_remove(own);
                    }
                }
            }
            if entry.calls() == 0 {
                self.process.in_use.fetch_sub(1, Ordering::Relaxed);
                entry.exclusive = false;
                let expired = entry.connection.opened.elapsed() > MAX_LIFETIME;
                if expired || connection.is_closed() {
                    self.forget(&mut entries, at);
                }
            }
        }
        self.serve_waiters();
    }

    /// Grants what can be granted, in the order of arrival; a call that has to wait for its own user's others
    /// holds nobody else up.
    fn serve_waiters(self: &Rc<Self>) {
        let mut at = 0;
        loop {
            let claim = match self.waiters.borrow().get(at) {
                Some(waiter) if waiter.granted.is_closed() => None,
                Some(waiter) => Some(waiter.claim.clone()),
                None => return,
            };
            let lease = match claim {
                Some(claim) => match self.try_acquire(&claim) {
                    Some(lease) => Some(lease),
                    None => {
                        at += 1;
                        continue;
                    }
                },
                None => None,
            };
            let waiter = self.waiters.borrow_mut().remove(at);
            if let (Some(waiter), Some(lease)) = (waiter, lease)
                && let Err(mut lease) = waiter.granted.send(lease)
            {
                lease.finished = true;
            }
        }
    }

    fn forget(&self, entries: &mut Vec<Entry>, at: usize) {
        entries.swap_remove(at);
        self.process.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Opens a connection in the background, if there may be one more of its role.
    fn open_another(self: &Rc<Self>, entries: &[Entry], role: Role) {
        let most = match role {
            Role::Reads => 1,
            Role::Work => self.process.connections_per_worker - 1,
        };
        let opening = &self.opening[role as usize];
        let there = entries
            .iter()
            .filter(|entry| entry.connection.role == role)
            .count();
        if there + opening.get() >= most {
            return;
        }
        opening.set(opening.get() + 1);
        let pool = Rc::clone(self);
        rt::spawn(async move {
            let opened = pool.open(role).await;
            let opening = &pool.opening[role as usize];
            opening.set(opening.get() - 1);
            if let Some(connection) = opened {
                pool.process.open.fetch_add(1, Ordering::Relaxed);
                pool.entries.borrow_mut().push(Entry {
                    connection: Rc::new(connection),
                    users: Vec::new(),
                    reads: 0,
                    exclusive: false,
                });
                pool.start_sweeping();
            }
            pool.serve_waiters();
        });
    }

    /// Tries until it succeeds, or until nobody waits for a connection any more.
    async fn open(&self, role: Role) -> Option<PgConnection> {
        let mut backoff = MIN_BACKOFF;
        loop {
            let losses = self.process.losses();
            match self.process.connector.connect(role, losses).await {
                Ok(connection) => {
                    self.process.note_attempt(Ok(()));
                    self.last_error.take();
                    return Some(connection);
                }
                Err(error) => {
                    self.process.note_attempt(Err(&error.0));
                    *self.last_error.borrow_mut() = Some(error.0);
                }
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
            if self
                .waiters
                .borrow()
                .iter()
                .all(|waiter| waiter.granted.is_closed())
            {
                return None;
            }
        }
    }

    /// Looks after the connections as long as there are any.
    fn start_sweeping(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let pool = Rc::clone(self);
        let interval =
            (self.process.statement_timeout / 4).clamp(Duration::from_millis(20), Duration::from_millis(250));
        rt::spawn(async move {
            loop {
                sleep(interval).await;
                pool.sweep();
                if pool.entries.borrow().is_empty() {
                    pool.sweeping.set(false);
                    return;
                }
            }
        });
    }

    fn sweep(self: &Rc<Self>) {
        let mut limit = self.process.statement_timeout;
        if self.process.connector.server_keeps_timeouts() {
            limit += STATEMENT_GRACE;
        }
        {
            let mut entries = self.entries.borrow_mut();
            for at in (0..entries.len()).rev() {
                let entry = &entries[at];
                if !entry.connection.is_closed() && entry.connection.waiting_for() > limit {
                    log::warn!("a statement was not answered in time; its connection is closed");
                    self.process.note_loss();
                    entry.connection.close();
                }
                let is_idle = entry.calls() == 0 && entry.connection.is_idle();
                let is_over = entry.connection.is_closed() || entry.connection.idle_for() > IDLE_TIMEOUT;
                if is_idle && is_over {
                    self.forget(&mut entries, at);
                }
            }
        }
        // A stalled connection that answers again, or one that went, may make room.
        self.serve_waiters();
    }
}
