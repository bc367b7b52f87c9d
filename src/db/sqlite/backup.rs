//! Snapshots of the embedded database.

use std::fs::File;
use std::io;
use std::path::{Path, absolute};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;

use super::connect_to;
use crate::db::error::describe;

/// Writes a consistent snapshot, even while a service writes to the database. The file gets its name when it is
/// complete and on the disk. Only its owner can read it, and it never replaces another file.
pub fn backup(database: &Path, file: &Path, patience: Duration) -> Result<(), String> {
    let problem = |error: io::Error| format!("{} cannot be written: {error}", file.display());
    // Absolute, because SQLite would interpret a name like `file:…` as a URI.
    let path = absolute(file).map_err(problem)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    if path.symlink_metadata().is_ok() {
        return Err(format!("{} exists, and is not overwritten", file.display()));
    }
    let mut source = connect_to(database, patience)?;
    // Its mode is 0600 from the start, and it is deleted if a later step fails.
    let snapshot = tempfile::Builder::new()
        .prefix(".todo-backend-backup-")
        .tempfile_in(folder)
        .map_err(problem)?;
    let name = snapshot.path().to_str();
    let name = name.ok_or_else(|| format!("{} is no UTF-8, which SQLite needs", path.display()))?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(name)
        .execute(&mut source.inner)
        .map_err(|error| format!("the backup failed: {}", describe(&error)))?;
    // SQLite does not wait until the new file is on the disk.
    snapshot.as_file().sync_all().map_err(problem)?;
    snapshot
        .persist_noclobber(&path)
        .map_err(|error| problem(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(problem)
}
