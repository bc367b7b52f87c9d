//! `migrate`: creates the tables, or brings them up to date.

use super::{Outcome, print};
use crate::config::Config;
use crate::db::Database;
use crate::telemetry;

pub fn run(config: &Config) -> Outcome {
    telemetry::start(config)?;
    let migrated = Database::open(config).migrate();
    migrated.map_err(|problem| format!("DATABASE_URL: {problem}"))?;
    print(&format!("the tables of {} are up to date\n", config.database_url))
}
