//! What the HTTP workers of a process share about PostgreSQL: how to connect, and what was found out about the
//! server.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::Connector;

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
