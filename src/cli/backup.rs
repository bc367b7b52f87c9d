//! `backup FILE`: writes a snapshot of the SQLite database into a new file.

use std::path::Path;

use super::{Outcome, print};
use crate::config::Config;
use crate::db;

pub fn run(config: &Config, file: &Path) -> Outcome {
    let Some(database) = config.database_url.sqlite_file() else {
        return Err(
            "only an SQLite database can be backed up with this command: use `pg_dump` for PostgreSQL".into(),
        );
    };
    db::backup(database, file, config.statement_timeout)?;
    print(&format!(
        "{} is a snapshot of {}\n",
        file.display(),
        config.database_url
    ))
}
