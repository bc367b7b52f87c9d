//! The connection pool of one HTTP worker. One connection is for short reads. The others are for statements that
//! may wait for a row lock or for the disk, and for long lists.
//!
//! Each worker has its own connections, so that executing a statement wakes no other thread, and waits for no mutex
//! that another thread holds. [`SharedState`] has the state that all workers share.

mod maintenance;
mod selection;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use self::selection::Entry;
use super::connection::PgConnection;
use super::shared_state::SharedState;
use crate::db::{Access, StoreError};
use crate::domain::UserId;
use crate::telemetry::METRICS;

/// Multiplied by the worker's number of connections, this is the maximum number of waiting calls, and also the
/// maximum number of reads that are pipelined on the connection for reads.
const CALLS_PER_CONNECTION: usize = 64;

/// The properties of a call that determine which connections it may use.
#[derive(Clone, Debug)]
pub struct ConnectionRequest {
    pub access: Access,
    /// The user who makes the call. `None` for the service's own reads.
    pub user: Option<UserId>,
}

struct Waiter {
    request: ConnectionRequest,
    granted: oneshot::Sender<Lease>,
}

pub struct WorkerPool {
    pub shared: Arc<SharedState>,
    entries: RefCell<Vec<Entry>>,
    /// The number of connections that are being opened, indexed by their role.
    opening: [Cell<usize>; 2],
    waiters: RefCell<VecDeque<Waiter>>,
    /// The error of the last attempt to open a connection, unless it succeeded.
    last_error: RefCell<Option<String>>,
    is_maintenance_running: Cell<bool>,
}

/// The permission to use a connection. Dropping the lease returns the connection to the pool.
pub struct Lease {
    pub pool: Rc<WorkerPool>,
    pub connection: Rc<PgConnection>,
    request: ConnectionRequest,
    /// True while the work runs. If it is still true when the lease is dropped, the work has panicked and may
    /// have left a transaction open, so the connection is closed.
    pub in_progress: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.in_progress {
            self.connection.close();
        }
        self.pool.release(&self.connection, &self.request);
    }
}

impl WorkerPool {
    pub fn new(shared: Arc<SharedState>) -> Rc<Self> {
        Rc::new(Self {
            shared,
            entries: RefCell::default(),
            opening: Default::default(),
            waiters: RefCell::default(),
            last_error: RefCell::default(),
            is_maintenance_running: Cell::new(false),
        })
    }

    /// Waits for a connection until the deadline. Fails at once if too many calls are waiting.
    pub async fn acquire(
        self: &Rc<Self>,
        request: ConnectionRequest,
        deadline: Instant,
    ) -> Result<Lease, StoreError> {
        loop {
            let lease = match self.try_acquire(&request) {
                Some(lease) => lease,
                None => self.wait(request.clone(), deadline).await?,
            };
            if lease.connection.is_alive(self.shared.losses(), deadline).await {
                return Ok(lease);
            }
            self.shared.record_loss();
        }
    }

    async fn wait(
        self: &Rc<Self>,
        request: ConnectionRequest,
        deadline: Instant,
    ) -> Result<Lease, StoreError> {
        let (granted, lease) = oneshot::channel();
        {
            let mut waiters = self.waiters.borrow_mut();
            let max_waiters = self.shared.connections_per_worker * CALLS_PER_CONNECTION;
            let same_user = waiters
                .iter()
                .filter(|waiter| waiter.request.user == request.user);
            // One user's calls get at most half of the queue.
            if waiters.len() >= max_waiters || same_user.count() >= max_waiters / 2 {
                METRICS.database_refused("queue_full");
                return Err(StoreError::Busy("too many calls are waiting"));
            }
            waiters.push_back(Waiter { request, granted });
        }
        let _waiting = Arc::clone(&self.shared.waiting);
        match timeout_at(deadline.into(), lease).await {
            Ok(Ok(lease)) => Ok(lease),
            _ => {
                // `timeout_at` has dropped the receiver, so this also removes the waiter of this call.
                self.remove_ended_waiters();
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

    fn try_acquire(self: &Rc<Self>, request: &ConnectionRequest) -> Option<Lease> {
        let mut entries = self.entries.borrow_mut();
        let may_use_another = || {
            let used = entries.iter().filter(|entry| entry.is_used_by(&request.user));
            used.count() < (self.shared.connections_per_worker / 4).max(1)
        };
        let chosen = match request.access {
            Access::Read => self.choose_for_read(&entries),
            Access::Write => self.choose_for_write(&entries, &request.user, may_use_another()),
            Access::Transaction if !may_use_another() => None,
            Access::Transaction | Access::LongList => self.choose_idle(&entries),
        };
        let entry = &mut entries[chosen?];
        if entry.calls() == 0 {
            self.shared.in_use.fetch_add(1, Ordering::Relaxed);
        }
        match request.access {
            Access::Read => entry.reads += 1,
            _ => entry.users.push(request.user.clone()),
        }
        entry.is_exclusive = matches!(request.access, Access::Transaction | Access::LongList);
        entry.is_long_list = request.access == Access::LongList;
        Some(Lease {
            pool: Rc::clone(self),
            connection: Rc::clone(&entry.connection),
            request: request.clone(),
            in_progress: false,
        })
    }

    fn release(self: &Rc<Self>, connection: &Rc<PgConnection>, request: &ConnectionRequest) {
        {
            let mut entries = self.entries.borrow_mut();
            let at = entries
                .iter()
                .position(|entry| Rc::ptr_eq(&entry.connection, connection));
            let Some(at) = at else { return };
            let entry = &mut entries[at];
            match request.access {
                Access::Read => entry.reads -= 1,
                _ => {
                    if let Some(user) = entry.users.iter().position(|user| *user == request.user) {
                        entry.users.swap_remove(user);
                    }
                }
            }
            if entry.calls() == 0 {
                self.shared.in_use.fetch_sub(1, Ordering::Relaxed);
                entry.is_exclusive = false;
                entry.is_long_list = false;
                entry.is_draining.set(false);
                if entry.is_expired() || connection.is_closed() {
                    entries.swap_remove(at);
                }
            }
        }
        self.serve_waiters();
    }

    /// Gives connections to the waiting calls in the order of their arrival. A call that cannot have one yet, for
    /// example because its user has the maximum number, does not block the calls behind it.
    fn serve_waiters(self: &Rc<Self>) {
        self.remove_ended_waiters();
        let mut at = 0;
        loop {
            let request = self.waiters.borrow().get(at).map(|waiter| waiter.request.clone());
            let Some(request) = request else { return };
            let Some(lease) = self.try_acquire(&request) else {
                at += 1;
                continue;
            };
            let waiter = self.waiters.borrow_mut().remove(at);
            if let Some(waiter) = waiter {
                // If the call has ended in the meantime, `send` fails and drops the lease, which returns the
                // connection to the pool.
                let _ = waiter.granted.send(lease);
            }
        }
    }

    /// Removes the waiters of calls that have timed out or whose client has hung up.
    fn remove_ended_waiters(&self) {
        self.waiters
            .borrow_mut()
            .retain(|waiter| !waiter.granted.is_closed());
    }
}
