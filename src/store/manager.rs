//! When connections are made and when they are thrown away, for r2d2 to call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::connection::{ConnectError, Connection, Inner, Timeouts};
use super::pooler::Pooler;
use crate::config::DatabaseUrl;

/// After this long without work a connection is asked whether it still lives: HikariCP's rule. Asking
/// each time costs a quarter of the throughput.
const ASK_AFTER: Duration = Duration::from_millis(500);

/// After this long, the socket is looked at for a server that has hung up: no round trip.
const LOOK_AFTER: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Manager {
    url: DatabaseUrl,
    timeouts: Timeouts,
    pooler: Arc<Pooler>,
    reach: AtomicU8,
}

/// How the last attempt to connect ended. That a first one fails is said by whoever starts the service.
const UNTRIED: u8 = 0;
const REACHED: u8 = 1;
const LOST: u8 = 2;

impl Manager {
    pub fn new(url: DatabaseUrl, timeouts: Timeouts, pooler: Arc<Pooler>) -> Self {
        Self {
            url,
            timeouts,
            pooler,
            reach: AtomicU8::new(UNTRIED),
        }
    }

    /// The scheme alone decides. Diesel's derived multi-connection tries each database in turn, and
    /// makes a SQLite file out of a mistyped URL.
    fn attempt(&self) -> Result<Connection, ConnectError> {
        match &self.url {
            DatabaseUrl::Postgres(url) => Connection::postgres(url, self.timeouts, &self.pooler),
            DatabaseUrl::Sqlite(file) => Connection::sqlite(file, self.timeouts.statement),
        }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Connection;
    type Error = ConnectError;

    /// An outage is one line at its beginning, which says why, and one at its end; attempts are many.
    fn connect(&self) -> Result<Connection, ConnectError> {
        let outcome = self.attempt();
        match &outcome {
            Ok(_) => {
                if self.reach.swap(REACHED, Ordering::Relaxed) == LOST {
                    log::info!("the database can be reached again");
                }
            }
            Err(error) => {
                let relaxed = Ordering::Relaxed;
                if self
                    .reach
                    .compare_exchange(REACHED, LOST, relaxed, relaxed)
                    .is_ok()
                {
                    log::warn!("the database cannot be reached: {error}");
                }
            }
        }
        outcome
    }

    fn is_valid(&self, conn: &mut Connection) -> Result<(), ConnectError> {
        let idle = conn.last_used.elapsed();
        let Inner::Postgres(inner) = &mut conn.inner else {
            return Ok(());
        };
        // Where one is dead, others that were made before may be.
        let losses = self.pooler.losses();
        let suspect = conn.losses_seen != losses;
        conn.losses_seen = losses;
        if suspect || idle > LOOK_AFTER {
            // Takes in what the server sent without being asked; nothing may be there but its farewell.
            // Twice: the first look reads the farewell, and the second finds the line dead.
            for _ in 0..2 {
                inner.notifications_iter().next().transpose()?;
            }
        }
        if suspect || idle > ASK_AFTER {
            inner.batch_execute("SELECT 1")?;
        }
        Ok(())
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        // One that a panic left in the middle of something, or that was made before prepared statements
        // went off and would go on using them.
        conn.broken || std::thread::panicking() || (conn.prepares && !self.pooler.may_prepare())
    }
}

/// A failed attempt is told to whoever waits for the connection; of an outage, `connect` speaks.
#[derive(Debug)]
pub(super) struct Quiet;

impl r2d2::HandleError<ConnectError> for Quiet {
    fn handle_error(&self, error: ConnectError) {
        log::debug!("no connection to the database: {error}");
    }
}
