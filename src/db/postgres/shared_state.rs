//! The state that the connection pools of all HTTP workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::connect::Connector;
use crate::config::Config;
use crate::telemetry::PoolState;

pub struct SharedState {
    pub connector: Connector,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    /// The maximum number of connections of each HTTP worker. It is at least two.
    pub connections_per_worker: usize,
    /// Each open connection has a clone of this, so the reference count tells how many there are.
    pub open: Arc<()>,
    pub in_use: AtomicU32,
    /// Each call that waits for a connection has a clone of this.
    pub waiting: Arc<()>,
    /// The number of connections that were lost since the process started.
    losses: AtomicU64,
    /// Whether the last attempt to connect failed after an earlier one had succeeded.
    is_outage: AtomicBool,
    /// Whether an attempt to connect has ever succeeded.
    was_reached: AtomicBool,
}

impl SharedState {
    pub fn new(connector: Connector, config: &Config, connections_per_worker: usize) -> Self {
        Self {
            connector,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
            connections_per_worker,
            open: Arc::default(),
            in_use: AtomicU32::new(0),
            waiting: Arc::default(),
            losses: AtomicU64::new(0),
            is_outage: AtomicBool::new(false),
            was_reached: AtomicBool::new(false),
        }
    }

    pub fn pool_state(&self) -> PoolState {
        PoolState {
            open: Arc::strong_count(&self.open) as u32 - 1,
            in_use: self.in_use.load(Ordering::Relaxed),
            waiting: Arc::strong_count(&self.waiting) - 1,
        }
    }

    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    pub fn record_loss(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the outcome of an attempt to connect. Logs one line when an outage begins and one when it ends, so
    /// that repeated attempts do not fill the log.
    pub fn record_attempt(&self, outcome: Result<(), &str>) {
        match outcome {
            Ok(()) => {
                self.was_reached.store(true, Ordering::Relaxed);
                if self.is_outage.swap(false, Ordering::Relaxed) {
                    log::info!("the database can be reached again");
                }
            }
            Err(error) if self.was_reached.load(Ordering::Relaxed) => {
                if !self.is_outage.swap(true, Ordering::Relaxed) {
                    log::warn!("the database cannot be reached: {error}");
                }
            }
            // Before the first success, a failure is not the beginning of an outage. Each call that fails logs a warning.
            Err(_) => {}
        }
    }
}
