//! How r2d2 opens connections to the embedded database.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::sqlite::SqliteConnection;
use diesel::{ConnectionError, result::Error as DieselError};

use super::file::DatabaseFile;
use crate::db::error::describe;

pub struct SqliteHandle {
    pub inner: SqliteConnection,
    /// A transaction could not be ended, so the connection must not be used again.
    pub broken: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

impl From<ConnectionError> for OpenError {
    fn from(error: ConnectionError) -> Self {
        Self(error.to_string())
    }
}

impl From<DieselError> for OpenError {
    fn from(error: DieselError) -> Self {
        Self(describe(&error))
    }
}

#[derive(Debug)]
pub struct Manager {
    file: Arc<DatabaseFile>,
    busy_timeout: Duration,
}

impl Manager {
    pub fn new(file: Arc<DatabaseFile>, statement_timeout: Duration) -> Self {
        Self {
            file,
            // This is shorter than the statement timeout, so that SQLite reports the cause before the caller gives up.
            busy_timeout: statement_timeout * 4 / 5,
        }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = SqliteHandle;
    type Error = OpenError;

    fn connect(&self) -> Result<SqliteHandle, OpenError> {
        self.file
            .prepare()
            .map_err(|error| OpenError(format!("{}: {error}", self.file.path().display())))?;
        let mut inner = SqliteConnection::establish(&self.file.path().to_string_lossy())?;
        // With `synchronous = FULL`, a commit is on the disk before the client gets its response. Automatic checkpoints
        // are disabled, because the writing thread makes checkpoints between jobs (`threads::checkpoint`). The query
        // opens the write-ahead log.
        inner.batch_execute(&format!(
            "PRAGMA busy_timeout = {};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864;
             SELECT count(*) FROM sqlite_schema;",
            self.busy_timeout.as_millis()
        ))?;
        self.file.record_log();
        Ok(SqliteHandle { inner, broken: false })
    }

    fn is_valid(&self, _: &mut SqliteHandle) -> Result<(), OpenError> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut SqliteHandle) -> bool {
        connection.broken || std::thread::panicking()
    }
}

/// Logs errors at level debug, because the call that waits for the connection reports the error as well.
#[derive(Debug)]
pub struct LogAtDebug;

impl r2d2::HandleError<OpenError> for LogAtDebug {
    fn handle_error(&self, error: OpenError) {
        log::debug!("the database file cannot be opened: {error}");
    }
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use r2d2::ManageConnection as _;

    use super::*;

    #[test]
    fn commits_reach_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(DatabaseFile::new(&folder.path().join("todo.db")));
        let mut made = Manager::new(file, Duration::from_secs(1)).connect().unwrap();
        let full =
            diesel::dsl::sql::<diesel::sql_types::Integer>("SELECT synchronous FROM pragma_synchronous");
        assert_eq!(full.get_result(&mut made.inner), Ok(2));
    }
}
