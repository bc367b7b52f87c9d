//! Creates folders, and restricts the permissions of files, so that other users of the machine cannot read them.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Read and write permission for the owner only.
pub const PRIVATE_MODE: u32 = 0o600;

/// Creates the parent folder of a file, and the missing folders above it, with mode 0700. The mode of an existing
/// folder is not changed, because somebody may have chosen it.
pub fn create_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

/// Sets the mode of a file to 0600, unless its mode already allows nothing more. A failure is only logged, because some
/// file systems do not support modes.
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
            "permissions of {path_name} remain {mode:o}, and other users of this machine may be able to read it: \
             {error}"
        ),
    }
}
