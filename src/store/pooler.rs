//! What stands between us and PostgreSQL: nothing, or a pooler that lends servers out by the
//! transaction, and then whether it carries prepared statements along.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use crate::config::PreparedStatements;

/// What this process has found out, shared by all its connections.
#[derive(Debug)]
pub(super) struct Pooler {
    setting: PreparedStatements,
    /// A pooler refused our start-up parameter; it would refuse it again.
    found: AtomicBool,
    cannot_prepare: AtomicBool,
}

impl Pooler {
    pub fn new(setting: PreparedStatements) -> Self {
        Self {
            setting,
            found: AtomicBool::new(false),
            cannot_prepare: AtomicBool::new(setting == PreparedStatements::Off),
        }
    }

    pub fn found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    pub fn may_prepare(&self) -> bool {
        !self.cannot_prepare.load(Ordering::Relaxed)
    }

    /// True if the connection was refused because of our start-up parameter: then it is a pooler's.
    pub fn refused_parameter(&self, error: &ConnectionError) -> bool {
        let refused = error.to_string().contains("startup parameter");
        if refused && !self.found.swap(true, Ordering::Relaxed) {
            log::info!("a connection pooler answers: statement timeouts are kept on this side alone");
        }
        refused
    }

    /// Asks the server under which names it knows our prepared statements. A pooler that carries them
    /// gives them names of its own. One that does not lets ours through, and then a statement of one
    /// client may meet another's of the same name: that must be known before the first call and not from
    /// its failure, for the statement that runs instead might be somebody's DELETE.
    pub fn examine(&self, conn: &mut PgConnection) {
        diesel::table! {
            pg_prepared_statements (name) {
                name -> Text,
            }
        }
        if self.setting != PreparedStatements::Auto || !self.may_prepare() {
            return;
        }
        // Twice: the first prepares it, and the second may find itself on another server.
        let carried = (0..2).all(|_| {
            let ours = pg_prepared_statements::table
                .filter(pg_prepared_statements::name.like("\\_\\_diesel\\_stmt\\_%"));
            matches!(ours.count().get_result::<i64>(conn), Ok(0))
        });
        if !carried {
            self.stop_preparing("the pooler hands one client's statements to another");
        }
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
