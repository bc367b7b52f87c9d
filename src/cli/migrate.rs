//! `migrate`: creates the tables, or brings them up to date.

use todo_backend::config::Config;
use todo_backend::db::Database;
use todo_backend::telemetry;

use super::{Outcome, database_url_error, print};

pub fn run(config: &Config) -> Outcome {
    telemetry::start(config)?;
    let database = Database::open(config).map_err(database_url_error)?;
    database.migrate().map_err(database_url_error)?;
    print(&format!("the tables of {} are up to date\n", config.database_url))
}
