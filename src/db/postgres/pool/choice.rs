//! Decides which connection a call gets.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{CALLS_PER_CONNECTION, WorkerPool};
use crate::db::postgres::connection::{PgConnection, Role};
use crate::domain::UserId;

/// How many writes may be pipelined on a connection to a distant server when all connections are busy. If a
/// round trip takes 2 ms, eight triple the throughput. On the same machine they gain nothing, and one at a time
/// has two advantages: a statement that waits for a lock delays no other, and a write that timed out is not
/// executed later.
const WRITE_PIPELINE_DEPTH: usize = 8;

/// A server is distant if a round trip takes longer than this.
const DISTANT: Duration = Duration::from_millis(1);

/// A connection for reads that was not used for this long is lent to writes. In a service that only writes, it
/// would otherwise be an idle quarter of the connections.
const READER_IDLE: Duration = Duration::from_secs(1);

const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A connection and the calls that use it.
pub(super) struct Entry {
    pub connection: Rc<PgConnection>,
    /// The users of the calls that are not reads, one entry per call.
    pub users: Vec<Option<UserId>>,
    pub reads: usize,
    /// When a read last needed this connection, whether or not it got it.
    last_read: Cell<Option<Instant>>,
    /// No other call may use the connection.
    pub exclusive: bool,
    /// The only call reads a long list. It does not count towards the user's share of connections.
    pub long_list: bool,
    /// The connection gets no more writes, so that a call that needs it exclusively can have it.
    pub draining: Cell<bool>,
}

impl Entry {
    pub fn new(connection: PgConnection) -> Self {
        Self {
            connection: Rc::new(connection),
            users: Vec::new(),
            reads: 0,
            last_read: Cell::default(),
            exclusive: false,
            long_list: false,
            draining: Cell::new(false),
        }
    }

    /// Whether the connection is old enough to be replaced.
    pub fn is_expired(&self) -> bool {
        self.connection.opened.elapsed() > MAX_LIFETIME
    }

    pub fn calls(&self) -> usize {
        self.users.len() + self.reads
    }

    /// Whether another call may be pipelined.
    fn has_room(&self) -> bool {
        let depth = match self.connection.round_trip() > DISTANT {
            true => WRITE_PIPELINE_DEPTH,
            false => 1,
        };
        self.calls() < depth
    }

    /// Whether writes may use the connection.
    fn may_write(&self) -> bool {
        match self.connection.role {
            Role::Work => true,
            Role::Reads => {
                self.reads == 0
                    && self
                        .last_read
                        .get()
                        .is_none_or(|last| last.elapsed() > READER_IDLE)
            }
        }
    }

    fn is_written_by(&self, user: &Option<UserId>) -> bool {
        !self.long_list && self.users.contains(user)
    }

    fn is_usable(&self) -> bool {
        !self.exclusive && !self.is_expired() && !self.connection.is_closed() && !self.connection.is_stalled()
    }
}

impl WorkerPool {
    /// The connection for reads, whatever its depth. Another one if that one is missing, stalled, or lent to a
    /// write.
    pub(super) fn choose_for_read(self: &Rc<Self>, entries: &[Entry]) -> Option<usize> {
        let most = self.process.connections_per_worker * CALLS_PER_CONNECTION;
        let reader = entries
            .iter()
            .position(|entry| entry.connection.role == Role::Reads);
        match reader {
            Some(at) => {
                let entry = &entries[at];
                // It is not lent again before this read has had its turn.
                entry.last_read.set(Some(Instant::now()));
                if entry.is_usable() && entry.users.is_empty() && entry.reads < most {
                    return Some(at);
                }
            }
            None => self.open_another(entries, Role::Reads),
        }
        let others = entries.iter().enumerate().filter(|(_, entry)| {
            entry.connection.role == Role::Work
                && entry.is_usable()
                && entry.has_room()
                && entry.users.is_empty()
        });
        let least = others.min_by_key(|(_, entry)| entry.calls()).map(|(at, _)| at);
        if least.is_none() {
            self.open_another(entries, Role::Work);
        }
        least
    }

    /// An idle connection, or else the least busy one. The writes of one user may use one connection, or a
    /// quarter of many, so that a locked row delays only that user.
    pub(super) fn choose_for_write(
        self: &Rc<Self>,
        entries: &[Entry],
        user: &Option<UserId>,
    ) -> Option<usize> {
        let own = |entry: &Entry| entry.is_written_by(user);
        let taken = entries.iter().filter(|entry| own(entry)).count();
        let may_spread = taken < self.quarter();
        // While a statement waits for a lock, others may be about to, and reads must not wait behind them.
        let is_blocked = || entries.iter().any(|entry| entry.connection.is_stalled());
        let candidates = entries.iter().enumerate().filter(|(_, entry)| {
            entry.may_write()
                && (entry.connection.role == Role::Work || !is_blocked())
                && entry.is_usable()
                && !entry.draining.get()
                && entry.has_room()
                && (may_spread || own(entry))
        });
        let least = candidates.min_by_key(|(_, entry)| (entry.calls(), entry.connection.role == Role::Reads));
        if may_spread && least.is_none_or(|(_, entry)| entry.calls() > 0) {
            self.open_another(entries, Role::Work);
            self.open_another(entries, Role::Reads);
        }
        least.map(|(at, _)| at)
    }

    pub(super) fn choose_for_transaction(
        self: &Rc<Self>,
        entries: &[Entry],
        user: &Option<UserId>,
    ) -> Option<usize> {
        let taken = entries.iter().filter(|entry| entry.is_written_by(user)).count();
        match taken < self.quarter() {
            true => self.choose_idle(entries),
            false => None,
        }
    }

    /// For a call that needs the connection exclusively.
    pub(super) fn choose_idle(self: &Rc<Self>, entries: &[Entry]) -> Option<usize> {
        let usable = || {
            let entries = entries.iter().enumerate();
            entries.filter(|(_, entry)| entry.connection.role == Role::Work && entry.is_usable())
        };
        let idle = usable().find(|(_, entry)| entry.calls() == 0);
        if idle.is_none() {
            self.open_another(entries, Role::Work);
            // While writes are pipelined, no connection would become idle by chance.
            if !entries.iter().any(|entry| entry.draining.get())
                && let Some((_, least)) = usable().min_by_key(|(_, entry)| entry.calls())
            {
                least.draining.set(true);
            }
        }
        idle.map(|(at, _)| at)
    }

    fn quarter(&self) -> usize {
        (self.process.connections_per_worker / 4).max(1)
    }
}
