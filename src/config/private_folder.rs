//! Creates folders that other users of the machine cannot read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Creates the parent folder of a file with mode 0700. The mode of an existing folder is not changed, because somebody
/// chose it.
pub fn create_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}
