//! What stands between us and PostgreSQL: nothing, or a pooler that lends servers out by the
//! transaction, and then whether it carries prepared statements along.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;

use crate::config::PreparedStatements;

/// What this process has found out, shared by all its connections.
#[derive(Debug)]
pub(super) struct Pooler {
    setting: PreparedStatements,
    /// A pooler refused our start-up parameter; it would refuse it again.
    found: AtomicBool,
    cannot_prepare: AtomicBool,
    /// The server was asked already; asking each new connection would say the same.
    parameter_checked: AtomicBool,
    examined: AtomicBool,
    losses: AtomicU64,
}

impl Pooler {
    pub fn new(setting: PreparedStatements) -> Self {
        Self {
            setting,
            found: AtomicBool::new(false),
            cannot_prepare: AtomicBool::new(setting == PreparedStatements::Off),
            parameter_checked: AtomicBool::new(false),
            examined: AtomicBool::new(false),
            losses: AtomicU64::new(0),
        }
    }

    pub fn found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    pub fn may_prepare(&self) -> bool {
        !self.cannot_prepare.load(Ordering::Relaxed)
    }

    /// How many connections turned out to be dead so far: others may be as well.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    pub fn note_loss(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// True if the connection was refused because of our start-up parameter: then it is a pooler's.
    pub fn refused_parameter(&self, error: &ConnectionError) -> bool {
        let refused = error.to_string().contains("startup parameter");
        if refused {
            self.note_pooler();
        }
        refused
    }

    /// A pooler may also be told to accept the parameter and forget it.
    pub fn check_parameter(&self, conn: &mut PgConnection, timeout: Duration) -> QueryResult<()> {
        if !self.parameter_checked.load(Ordering::Relaxed) {
            let setting = sql::<Text>("(SELECT setting FROM pg_settings WHERE name = 'statement_timeout')");
            let setting: String = diesel::select(setting).get_result(conn)?;
            if setting != timeout.as_millis().to_string() {
                self.note_pooler();
            }
            self.parameter_checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn note_pooler(&self) {
        if !self.found.swap(true, Ordering::Relaxed) {
            log::info!("a connection pooler answers: statement timeouts are kept on this side alone");
        }
    }

    /// Asks the server under which names it knows our prepared statements. A pooler that carries them
    /// gives them names of its own. One that does not lets ours through, and then a statement of one
    /// client may meet another's of the same name: that must be known before the first call and not from
    /// its failure, for the statement that runs instead might be somebody's DELETE.
    pub fn examine(&self, conn: &mut PgConnection) -> QueryResult<()> {
        diesel::table! {
            pg_prepared_statements (name) {
                name -> Text,
            }
        }
        if self.setting != PreparedStatements::Auto || self.examined.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Twice: the first prepares it, and the second may find itself on another server.
        for _ in 0..2 {
            let ours = pg_prepared_statements::table
                .filter(pg_prepared_statements::name.like("\\_\\_diesel\\_stmt\\_%"));
            match ours.count().get_result::<i64>(conn) {
                Ok(0) => {}
                Ok(_) => self.stop_preparing("the pooler hands one client's statements to another"),
                Err(error) if self.shown_by(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.examined.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// True for an error that says that a named statement was not where it had been prepared (or was
    /// there already), under `auto`: from now on, none is. The statement did not run, so it can be sent
    /// again. The names are Diesel's, and stand in every translation of the message.
    pub fn shown_by(&self, error: &DieselError) -> bool {
        let shown = self.setting == PreparedStatements::Auto
            && matches!(error, DieselError::DatabaseError(_, info)
                if info.message().contains("\"__diesel_stmt_"));
        if shown {
            self.stop_preparing("a prepared statement was not where it had been made");
        }
        shown
    }

    fn stop_preparing(&self, why: &str) {
        if !self.cannot_prepare.swap(true, Ordering::Relaxed) {
            log::warn!(
                "prepared statements are off: {why} (PgBouncer carries them from 1.21 on, with \
                 max_prepared_statements set)"
            );
        }
    }
}
