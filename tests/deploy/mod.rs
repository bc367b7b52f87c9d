//! What `deploy/` and `.github/` hold, checked by the programs that will read it.

mod kubernetes;
mod monitoring;
mod systemd;
mod workflows;

use std::path::PathBuf;

use crate::support::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The checkers that come as Python packages.
fn checkers() -> PathBuf {
    python::programs(&format!("{ROOT}/tests/deploy/requirements.txt"))
}
