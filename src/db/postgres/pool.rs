//! The connection pool of one HTTP worker: one connection for short reads, and others for everything that may
//! wait.
//!
//! Each worker has its own connections, so that a statement needs no lock and wakes no other thread.
//! [`Process`] has the state that all workers share.

mod choice;
mod upkeep;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use self::choice::Entry;
use super::connection::PgConnection;
use super::process::Process;
use crate::db::{Access, StoreError};
use crate::domain::UserId;
use crate::telemetry::METRICS;

/// How many calls may be queued or running per connection. Further ones are refused.
const CALLS_PER_CONNECTION: usize = 64;

/// What a call needs a connection for.
#[derive(Clone, Debug)]
pub struct Claim {
    pub access: Access,
    /// The user of the call; `None` for the service's own reads.
    pub user: Option<UserId>,
}

struct Waiter {
    claim: Claim,
    granted: oneshot::Sender<Lease>,
}

pub struct WorkerPool {
    pub process: Arc<Process>,
    entries: RefCell<Vec<Entry>>,
    /// How many connections of each role are being opened.
    opening: [Cell<usize>; 2],
    waiters: RefCell<VecDeque<Waiter>>,
    last_error: RefCell<Option<String>>,
    sweeping: Cell<bool>,
}

/// Permission to use a connection, returned on drop.
pub struct Lease {
    pool: Rc<WorkerPool>,
    pub connection: Rc<PgConnection>,
    claim: Claim,
    /// Whether the work has begun and not ended. If it panicked, a transaction may still be open.
    pub in_progress: bool,
}

impl Lease {
    pub fn note_loss(&self) {
        self.pool.process.note_loss();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.in_progress {
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

    /// Returns a working connection, or an error after the acquire timeout.
    pub async fn acquire(self: &Rc<Self>, claim: Claim, deadline: Instant) -> Result<Lease, StoreError> {
        loop {
            let lease = match self.try_acquire(&claim) {
                Some(lease) => lease,
                None => self.wait(claim.clone(), deadline).await?,
            };
            if lease.connection.is_alive(self.process.losses(), deadline).await {
                return Ok(lease);
            }
            self.process.note_loss();
        }
    }

    async fn wait(self: &Rc<Self>, claim: Claim, deadline: Instant) -> Result<Lease, StoreError> {
        let (granted, lease) = oneshot::channel();
        {
            let mut waiters = self.waiters.borrow_mut();
            let places = self.process.connections_per_worker * CALLS_PER_CONNECTION;
            let own = waiters.iter().filter(|waiter| waiter.claim.user == claim.user);
            if waiters.len() >= places || own.count() >= places / 2 {
                METRICS.database_refused("queue_full");
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
                // The receiver is dropped by now, so this removes the waiter itself.
                self.waiters
                    .borrow_mut()
                    .retain(|waiter| !waiter.granted.is_closed());
                METRICS.database_refused("timeout");
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
            Access::Transaction => self.choose_for_transaction(&entries, &claim.user),
            Access::LongList => self.choose_idle(&entries),
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
        entry.long_list = claim.access == Access::LongList;
        Some(Lease {
            pool: Rc::clone(self),
            connection: Rc::clone(&entry.connection),
            claim: claim.clone(),
            in_progress: false,
        })
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
                entry.long_list = false;
                entry.draining.set(false);
                if entry.is_expired() || connection.is_closed() {
                    self.forget(&mut entries, at);
                }
            }
        }
        self.serve_waiters();
    }

    /// Serves the waiting calls in the order of their arrival. A call that must wait for its own user's other
    /// calls does not block the calls behind it.
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
            if let (Some(waiter), Some(lease)) = (waiter, lease) {
                // If the call has ended meanwhile, dropping the lease returns the connection.
                let _ = waiter.granted.send(lease);
            }
        }
    }

    fn forget(&self, entries: &mut Vec<Entry>, at: usize) {
        entries.swap_remove(at);
        self.process.open.fetch_sub(1, Ordering::Relaxed);
    }
}
