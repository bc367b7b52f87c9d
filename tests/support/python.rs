//! Programs from Python packages, which are installed in virtual environments below the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::run;
use super::token;

const INSTALL_WITHIN: Duration = Duration::from_mins(5);

/// Returns the folder of the programs that the packages in the file `requirements` install. The virtual environment
/// is created if it does not exist.
pub fn programs(requirements: &str) -> PathBuf {
    let fingerprint = token::fingerprint(&fs::read_to_string(requirements).unwrap());
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let home = parent.join(fingerprint.trim_start_matches('-'));
    fs::create_dir_all(&parent).unwrap();
    // One test creates the environment while the others, also in other test processes, wait for the lock. The lock is
    // released when the file is closed.
    let lock = File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ready = home.join("ready");
    let programs = home.join("bin");
    if !ready.exists() {
        let mut probe = Command::new("python3");
        let there = probe.args(["-c", "import venv, ensurepip"]).status();
        assert!(
            there.is_ok_and(|status| status.success()),
            "Python cannot make a virtual environment; apt-get install python3-venv"
        );
        let mut python = Command::new("python3");
        run(python.args(["-m", "venv", "--clear"]).arg(&home), INSTALL_WITHIN);
        let mut pip = Command::new(programs.join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            requirements,
        ]);
        run(&mut pip, INSTALL_WITHIN);
        File::create(ready).unwrap();
    }
    programs
}
