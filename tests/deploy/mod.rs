//! Checks the files in `deploy/` and `.github/`, mostly with the programs that read them or with validators.

mod kubernetes;
mod monitoring;
mod systemd;
mod workflows;

use std::path::PathBuf;

use crate::support::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Installs the validators that are Python packages, and returns the folder of their programs.
fn python_tools() -> PathBuf {
    python::programs(&format!("{ROOT}/tests/deploy/requirements.txt"))
}
