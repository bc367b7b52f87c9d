//! Selects the connection for a call.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CALLS_PER_CONNECTION, WorkerPool};
use crate::db::postgres::connection::{PgConnection, Role};
use crate::domain::UserId;

/// The maximum number of calls that are pipelined on a connection which accepts writes, if the server is distant.
/// With round trips of 2 ms, this triples the throughput of writes. If the server is near, pipelining does not
/// increase the throughput of writes, so such a connection has only one call at a time. Then a statement that
/// waits for a lock delays no other statement.
const WRITE_PIPELINE_DEPTH: usize = 8;

/// A server is distant if a round trip takes longer than this.
const DISTANT_ROUND_TRIP: Duration = Duration::from_millis(1);

/// The connection for reads accepts writes if no call has requested a read for longer than this. Otherwise it would
/// be idle while all calls are writes.
const LEND_READER_AFTER_IDLE: Duration = Duration::from_secs(1);

/// A connection that was opened longer ago than this gets no new calls, so that it is soon closed.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A connection and the calls that use it.
pub(super) struct Entry {
    pub connection: Rc<PgConnection>,
    /// Counts the connection as open.
    _open: Arc<()>,
    /// The user of each call that is not a read.
    pub users: Vec<Option<UserId>>,
    pub reads: usize,
    /// The time of the last request for a read, whether or not the read got this connection. It is only set for
    /// the connection for reads.
    last_read: Cell<Option<Instant>>,
    /// Whether a transaction or a long list uses the connection, so that no other call may use it.
    pub is_exclusive: bool,
    /// Whether the only call reads a long list. Such a call does not count towards its user's maximum number of
    /// connections, because long lists have a limit of their own.
    pub is_long_list: bool,
    /// Whether the connection accepts no more writes, so that it becomes idle for a call that needs it
    /// exclusively.
    pub is_draining: Cell<bool>,
}

impl Entry {
    pub fn new(connection: PgConnection, open: Arc<()>) -> Self {
        Self {
            connection: Rc::new(connection),
            _open: open,
            users: Vec::new(),
            reads: 0,
            last_read: Cell::default(),
            is_exclusive: false,
            is_long_list: false,
            is_draining: Cell::new(false),
        }
    }

    pub fn is_expired(&self) -> bool {
        self.connection.opened.elapsed() > MAX_LIFETIME
    }

    pub fn calls(&self) -> usize {
        self.users.len() + self.reads
    }

    /// Whether another call may be pipelined on the connection.
    fn has_pipeline_room(&self) -> bool {
        let depth = match self.connection.round_trip() > DISTANT_ROUND_TRIP {
            true => WRITE_PIPELINE_DEPTH,
            false => 1,
        };
        self.calls() < depth
    }

    fn accepts_writes(&self) -> bool {
        match self.connection.role {
            Role::Work => true,
            Role::Reads => {
                self.reads == 0
                    && self
                        .last_read
                        .get()
                        .is_none_or(|last| last.elapsed() > LEND_READER_AFTER_IDLE)
            }
        }
    }

    /// Whether a write or a transaction of the user runs on the connection.
    pub fn is_used_by(&self, user: &Option<UserId>) -> bool {
        !self.is_long_list && self.users.contains(user)
    }

    fn is_usable(&self) -> bool {
        !self.is_exclusive
            && !self.is_expired()
            && !self.connection.is_closed()
            && !self.connection.is_stalled()
    }
}

impl WorkerPool {
    /// Returns the connection for reads, on which many reads are pipelined. If that connection is missing, stalled or
    /// in use by a write, returns another connection without writes.
    pub(super) fn choose_for_read(self: &Rc<Self>, entries: &[Entry]) -> Option<usize> {
        let max_reads = self.shared.connections_per_worker * CALLS_PER_CONNECTION;
        let reader = entries
            .iter()
            .position(|entry| entry.connection.role == Role::Reads);
        match reader {
            Some(at) => {
                let entry = &entries[at];
                // If a write uses the connection, this prevents further writes from getting it before the reads.
                entry.last_read.set(Some(Instant::now()));
                if entry.is_usable() && entry.users.is_empty() && entry.reads < max_reads {
                    return Some(at);
                }
            }
            None => self.open_another(entries, Role::Reads),
        }
        let others = entries.iter().enumerate().filter(|(_, entry)| {
            entry.connection.role == Role::Work
                && entry.has_pipeline_room()
                && entry.users.is_empty()
                && entry.is_usable()
        });
        let least = others.min_by_key(|(_, entry)| entry.calls()).map(|(at, _)| at);
        if least.is_none() {
            self.open_another(entries, Role::Work);
        }
        least
    }

    /// Returns an idle connection if there is one, and otherwise the one with the fewest calls. The writes of one
    /// user may use at most a quarter of the connections, or one if there are fewer than eight. So if these writes
    /// wait for a locked row, the writes of other users can use other connections.
    pub(super) fn choose_for_write(
        self: &Rc<Self>,
        entries: &[Entry],
        user: &Option<UserId>,
        may_use_another: bool,
    ) -> Option<usize> {
        // A stalled connection may wait for a lock, and further writes may wait for the same lock. They do not get
        // the connection for reads, because reads would wait behind them.
        let is_any_stalled = || entries.iter().any(|entry| entry.connection.is_stalled());
        // The conditions that read the clock come last, because this is called for every waiting write.
        let candidates = entries.iter().enumerate().filter(|(_, entry)| {
            entry.has_pipeline_room()
                && !entry.is_draining.get()
                && (may_use_another || entry.is_used_by(user))
                && entry.accepts_writes()
                && entry.is_usable()
                && (entry.connection.role == Role::Work || !is_any_stalled())
        });
        let least = candidates.min_by_key(|(_, entry)| (entry.calls(), entry.connection.role == Role::Reads));
        if may_use_another && least.is_none_or(|(_, entry)| entry.calls() > 0) {
            self.open_another(entries, Role::Work);
            self.open_another(entries, Role::Reads);
        }
        least.map(|(at, _)| at)
    }

    /// Returns an idle connection, for a call that needs it exclusively.
    pub(super) fn choose_idle(self: &Rc<Self>, entries: &[Entry]) -> Option<usize> {
        let usable = || {
            let entries = entries.iter().enumerate();
            entries.filter(|(_, entry)| entry.connection.role == Role::Work && entry.is_usable())
        };
        let idle = usable().find(|(_, entry)| entry.calls() == 0);
        if idle.is_none() {
            self.open_another(entries, Role::Work);
            // While writes are pipelined, no connection may ever become idle, so one stops accepting writes.
            if !entries.iter().any(|entry| entry.is_draining.get())
                && let Some((_, least)) = usable().min_by_key(|(_, entry)| entry.calls())
            {
                least.is_draining.set(true);
            }
        }
        idle.map(|(at, _)| at)
    }
}
