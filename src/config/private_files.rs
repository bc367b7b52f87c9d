//! Files and folders that other users of the machine cannot read.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Read and write permission for the owner only.
pub const PRIVATE_MODE: u32 = 0o600;

/// Creates the parent folder of a file with mode 0700. The mode of an existing folder is not changed, because somebody
/// chose it.
pub fn create_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

/// Removes everybody else's permissions. A failure does not stop the start, because some file systems have no modes.
pub fn tighten_permissions(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !PRIVATE_MODE == 0 {
        return;
    }
    let path_name = path.display();
    match fs::set_permissions(path, Permissions::from_mode(PRIVATE_MODE)) {
        Ok(()) => log::info!("permissions of {path_name} changed from {mode:o} to {PRIVATE_MODE:o}"),
        Err(error) => log::warn!(
            "permissions of {path_name} stay {mode:o}, other users of this machine may read it: {error}"
        ),
    }
}
