//! The files of an SQLite database. Their permissions are restricted to their owner. Writes fail if the database file
//! was deleted or replaced after the service had opened it.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::config::{PRIVATE_MODE, create_private_folder, tighten_permissions};

/// The first bytes of every SQLite database file that is not empty.
const HEADER: &[u8] = b"SQLite format 3\0";

#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// The file that the process opened for its first connection.
    opened: OnceLock<FileId>,
    /// The write-ahead log of the database, which exists as long as a connection is open.
    log: OnceLock<FileId>,
}

/// The device and the inode of a file.
type FileId = (u64, u64);

fn id_of(metadata: Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

impl DatabaseFile {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: OnceLock::new(),
            log: OnceLock::new(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Must be called before each connection is opened. The first successful call creates the file if it is
    /// missing. For later calls a missing file is an error, because a new empty file would hide the loss.
    pub fn prepare(&self) -> io::Result<()> {
        if self.opened.get().is_some() {
            return self.check().map_err(io::Error::other);
        }
        create_private_folder(&self.path)
            .map_err(|error| io::Error::other(format!("the folder cannot be created: {error}")))?;
        let mut file = self.open_or_create()?;
        check_header(&mut file)?;
        // SQLite creates the other two files with the mode of the database file, but they may exist already.
        for suffix in ["", "-wal", "-shm"] {
            tighten_permissions(&self.with_suffix(suffix));
        }
        let _ = self.opened.set(id_of(file.metadata()?));
        Ok(())
    }

    fn open_or_create(&self) -> io::Result<File> {
        let existed = self.path.exists();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_MODE);
        let file = options.open(&self.path)?;
        if !existed {
            // The umask of the process may have removed the owner's permissions.
            file.set_permissions(Permissions::from_mode(PRIVATE_MODE))?;
        }
        Ok(file)
    }

    /// Records which file is the write-ahead log. Must be called after the first connection is opened, because that
    /// creates the log.
    pub fn record_log(&self) {
        if let Ok(found) = fs::metadata(self.with_suffix("-wal")) {
            let _ = self.log.set(id_of(found));
        }
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Fails if the path of the database or that of its write-ahead log no longer names the file that the process
    /// opened. SQLite does not detect that a file was deleted: it would write to the deleted file, and the writes would
    /// be lost.
    pub fn check(&self) -> Result<(), String> {
        for (opened, suffix) in [(&self.opened, ""), (&self.log, "-wal")] {
            let path = self.with_suffix(suffix);
            let found = || fs::metadata(&path).map(id_of).ok();
            if opened.get().is_some_and(|opened| Some(*opened) != found()) {
                return Err(format!(
                    "{} was deleted or replaced while the service was running; restore the file and restart the \
                     service",
                    path.display()
                ));
            }
        }
        Ok(())
    }
}

/// Fails if the file is neither empty nor an SQLite database. Without this check, the service would change the
/// permissions of another file if the path were mistyped.
fn check_header(file: &mut File) -> io::Result<()> {
    let mut start = Vec::new();
    file.take(HEADER.len() as u64).read_to_end(&mut start)?;
    match start.is_empty() || start == HEADER {
        true => Ok(()),
        false => Err(io::Error::other("it is not an SQLite database")),
    }
}
