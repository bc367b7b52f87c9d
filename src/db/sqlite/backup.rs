//! Writes backups of an SQLite database.

use std::fs::File;
use std::io;
use std::path::{Path, absolute};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;

use super::open_existing;
use crate::db::error::describe;

/// Writes a consistent snapshot of the database, to which the service may write at the same time. The file gets
/// its name only when it is complete and on the disk. Only its owner can read it, and no existing file is replaced.
pub fn backup(database: &Path, file: &Path, statement_timeout: Duration) -> Result<(), String> {
    let problem = |error: io::Error| format!("{} cannot be written: {error}", file.display());
    // The path is absolute, because SQLite interprets a name such as `file:backup.db` as a URI.
    let path = absolute(file).map_err(problem)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    if path.symlink_metadata().is_ok() {
        return Err(format!("{} exists, and is not overwritten", file.display()));
    }
    let mut source = open_existing(database, statement_timeout)?;
    // `tempfile` creates the file with mode 0600, and deletes it if a later step fails.
    let snapshot = tempfile::Builder::new()
        .prefix(".todo-backend-backup-")
        .tempfile_in(folder)
        .map_err(problem)?;
    let name = snapshot.path().to_str();
    let name = name.ok_or_else(|| format!("{} is not valid UTF-8, as SQLite requires", path.display()))?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(name)
        .execute(&mut source.inner)
        .map_err(|error| format!("the backup failed: {}", describe(&error)))?;
    // Whether `VACUUM INTO` waits until the file is on the disk depends on SQLite's version and settings.
    snapshot.as_file().sync_all().map_err(problem)?;
    snapshot
        .persist_noclobber(&path)
        .map_err(|error| problem(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(problem)
}
