//! How r2d2 opens connections to the embedded database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::sqlite::SqliteConnection;

use super::file::DatabaseFile;
use crate::db::error::describe;

pub struct SqliteHandle {
    pub inner: SqliteConnection,
    /// Whether the writing thread has begun a transaction in which it executes the writes of several calls.
    pub is_in_batch: bool,
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
    type Error = io::Error;

    fn connect(&self) -> io::Result<SqliteHandle> {
        let path = self.file.path();
        self.file
            .prepare()
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let mut inner = SqliteConnection::establish(&path.to_string_lossy()).map_err(io::Error::other)?;
        // With `synchronous = FULL`, a commit is on the disk before the client gets its response. Automatic checkpoints
        // are disabled, because the writing thread makes checkpoints between transactions (`threads::checkpoint`). The
        // query opens the write-ahead log.
        let settings = format!(
            "PRAGMA busy_timeout = {};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864;
             SELECT count(*) FROM sqlite_schema;",
            self.busy_timeout.as_millis()
        );
        inner
            .batch_execute(&settings)
            .map_err(|error| io::Error::other(describe(&error)))?;
        self.file.record_log();
        Ok(SqliteHandle {
            inner,
            is_in_batch: false,
        })
    }

    fn is_valid(&self, _: &mut SqliteHandle) -> io::Result<()> {
        Ok(())
    }

    /// No connection is closed, because SQLite deletes the write-ahead log together with the last one. After that,
    /// [`DatabaseFile::check`] would report that the log was deleted.
    fn has_broken(&self, _: &mut SqliteHandle) -> bool {
        false
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
