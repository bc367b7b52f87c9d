//! Opens connections in the background, and closes idle ones and those whose statement was not answered in time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use tokio::time::sleep;

use super::WorkerPool;
use super::selection::Entry;
use crate::db::postgres::connection::{PgConnection, Role};

/// A connection that was idle for longer than this is closed, so that a serverless database can be suspended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// If the server enforces the statement timeout, the service waits this much longer before it closes the
/// connection. The server then ends the statement first, and the connection remains usable.
const STATEMENT_GRACE: Duration = Duration::from_secs(1);

const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

impl WorkerPool {
    /// Opens a connection in the background, unless the maximum number for its role is reached.
    pub(super) fn open_another(self: &Rc<Self>, entries: &[Entry], role: Role) {
        let max = match role {
            Role::Reads => 1,
            Role::Work => self.shared.connections_per_worker - 1,
        };
        let opening = &self.opening[role as usize];
        let existing = entries
            .iter()
            .filter(|entry| entry.connection.role == role)
            .count();
        if existing + opening.get() >= max {
            return;
        }
        opening.set(opening.get() + 1);
        let pool = Rc::clone(self);
        rt::spawn(async move {
            let opened = pool.open(role).await;
            let opening = &pool.opening[role as usize];
            opening.set(opening.get() - 1);
            if let Some(connection) = opened {
                let entry = Entry::new(connection, Arc::clone(&pool.shared.open));
                pool.entries.borrow_mut().push(entry);
                pool.start_maintenance();
            }
            pool.serve_waiters();
        });
    }

    /// Opens a connection. Retries after a failure, until an attempt succeeds or no call waits for a connection.
    async fn open(&self, role: Role) -> Option<PgConnection> {
        let mut backoff = MIN_BACKOFF;
        loop {
            let losses = self.shared.losses();
            match self.shared.connector.connect(role, losses).await {
                Ok(connection) => {
                    self.shared.record_attempt(Ok(()));
                    self.last_error.take();
                    return Some(connection);
                }
                Err(error) => {
                    self.shared.record_attempt(Err(&error.0));
                    *self.last_error.borrow_mut() = Some(error.0);
                }
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
            self.remove_ended_waiters();
            if self.waiters.borrow().is_empty() {
                return None;
            }
        }
    }

    /// Starts the task that closes connections, unless it runs already. The task ends when the pool has no
    /// connection.
    fn start_maintenance(self: &Rc<Self>) {
        if self.is_maintenance_running.replace(true) {
            return;
        }
        let pool = Rc::clone(self);
        let interval =
            (self.shared.statement_timeout / 4).clamp(Duration::from_millis(20), Duration::from_millis(250));
        rt::spawn(async move {
            loop {
                sleep(interval).await;
                pool.maintain();
                if pool.entries.borrow().is_empty() {
                    pool.is_maintenance_running.set(false);
                    return;
                }
            }
        });
    }

    fn maintain(self: &Rc<Self>) {
        let mut limit = self.shared.statement_timeout;
        if self.shared.connector.server_enforces_statement_timeout() {
            limit += STATEMENT_GRACE;
        }
        {
            let mut entries = self.entries.borrow_mut();
            for at in (0..entries.len()).rev() {
                let entry = &entries[at];
                if !entry.connection.is_closed() && entry.connection.oldest_statement_age() > limit {
                    log::warn!("a statement was not answered in time; its connection is closed");
                    self.shared.record_loss();
                    entry.connection.close_timed_out();
                }
                let is_idle = entry.calls() == 0 && entry.connection.is_idle();
                let is_over = entry.connection.is_closed() || entry.connection.idle_for() > IDLE_TIMEOUT;
                if is_idle && is_over {
                    entries.swap_remove(at);
                }
            }
        }
        // A waiting call may now get a connection that is no longer stalled, or a new one may be opened for it.
        self.serve_waiters();
    }
}
