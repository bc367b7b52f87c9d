//! `migrate`: applies the migrations.

use todo_backend::config::Config;
use todo_backend::db::Database;
use todo_backend::telemetry;

use super::{Outcome, database_url, print};

pub fn run(config: &Config) -> Outcome {
    telemetry::start(config)?;
    let database = Database::open(config).map_err(database_url)?;
    database.migrate().map_err(database_url)?;
    print(&format!("the tables of {} are up to date\n", config.database_url))
}
