//! Opens, checks and closes connections.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::rt;
use tokio::time::sleep;

use super::WorkerPool;
use super::choice::Entry;
use crate::db::postgres::connection::{PgConnection, Role};

/// An idle connection is closed after this time, so that a serverless database can suspend.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How much longer than the server's timeout the service waits, so that the server's timeout comes first if it
/// is in force.
const STATEMENT_GRACE: Duration = Duration::from_secs(1);

const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

impl WorkerPool {
    /// Opens a connection in the background, unless the limit of its role is reached.
    pub(super) fn open_another(self: &Rc<Self>, entries: &[Entry], role: Role) {
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
                pool.entries.borrow_mut().push(Entry::new(connection));
                pool.start_sweeping();
            }
            pool.serve_waiters();
        });
    }

    /// Retries until it succeeds or no call waits for a connection.
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

    /// Starts the task that closes idle and stuck connections. It ends when no connection is left.
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
                    entry.connection.close_overdue();
                }
                let is_idle = entry.calls() == 0 && entry.connection.is_idle();
                let is_over = entry.connection.is_closed() || entry.connection.idle_for() > IDLE_TIMEOUT;
                if is_idle && is_over {
                    self.forget(&mut entries, at);
                }
            }
        }
        // A connection may be usable again, or there may be room for a new one.
        self.serve_waiters();
    }
}
