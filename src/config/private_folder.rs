//! A folder for what other users of the machine must not read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Creates the folder that a file is to stand in, with mode 0700. A folder that exists is left alone: its
/// mode is somebody's decision.
pub fn create_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}
