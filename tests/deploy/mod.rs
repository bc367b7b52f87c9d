//! Checks the content of `deploy/` and `.github/` with the programs that use it.

mod kubernetes;
mod monitoring;
mod systemd;
mod workflows;

use std::path::PathBuf;

use crate::support::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Installs the tools that are Python packages and returns their folder.
fn python_tools() -> PathBuf {
    python::programs(&format!("{ROOT}/tests/deploy/requirements.txt"))
}
