//! The state about PostgreSQL that the HTTP workers share: how to connect, and what is known about the server.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::Connector;

pub struct Process {
    pub connector: Connector,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    /// The maximum per worker, at least two.
    pub connections_per_worker: usize,
    pub open: AtomicU32,
    pub in_use: AtomicU32,
    pub waiting: AtomicUsize,
    /// How many connections were found dead.
    losses: AtomicU64,
    /// The last attempt to connect failed, but an earlier one succeeded.
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

    /// Logs one line when an outage begins and one when it ends, however many attempts fail in between.
    pub fn note_attempt(&self, outcome: Result<(), &str>) {
        match outcome {
            Ok(()) => {
                self.reached.store(true, Ordering::Relaxed);
                if self.outage.swap(false, Ordering::Relaxed) {
                    log::info!("the database can be reached again");
                }
            }
            // The caller at the start logs failures before the first success.
            Err(error) if self.reached.load(Ordering::Relaxed) => {
                if !self.outage.swap(true, Ordering::Relaxed) {
                    log::warn!("the database cannot be reached: {error}");
                }
            }
            Err(_) => {}
        }
    }
}
