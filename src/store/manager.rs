//! When connections are made and when they are thrown away, for r2d2 to call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    reach: Mutex<Reach>,
}

#[derive(Debug, Default)]
struct Reach {
    /// None before the first time: that it fails is said by whoever starts the service.
    last: Option<Instant>,
    lost: bool,
}

impl Manager {
    pub fn new(url: DatabaseUrl, timeouts: Timeouts, pooler: Arc<Pooler>) -> Self {
        Self {
            url,
            timeouts,
            pooler,
            reach: Mutex::default(),
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
        let began = Instant::now();
        let outcome = self.attempt();
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(_) => {
                if std::mem::take(&mut reach.lost) {
                    log::info!("the database can be reached again");
                }
                reach.last = Some(Instant::now());
            }
            // A slow attempt may fail of an outage that another one has seen the end of.
            Err(error) if !reach.lost && reach.last.is_some_and(|last| last < began) => {
                reach.lost = true;
                log::warn!("the database cannot be reached: {error}");
            }
            Err(_) => {}
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
