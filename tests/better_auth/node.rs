//! The Node side: its packages, installed once, and its scripts as processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::process::Process;

/// Cold, with a slow network. Only the first test that needs the packages ever waits for them.
const INSTALLATION: Duration = Duration::from_secs(180);
const OLDEST: u32 = 20;

/// A script of `tests/node`, with its packages there.
pub fn script(name: &str) -> Command {
    static READY: OnceLock<Result<(), String>> = OnceLock::new();
    if let Err(reason) = READY.get_or_init(|| check_node().and_then(|()| install())) {
        panic!("{reason}");
    }
    let mut command = Command::new("node");
    command.arg(folder().join(name)).current_dir(folder()).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// The script as a process, which ends with the value at the latest.
pub fn spawn(command: Command) -> Process {
    Process::spawn(command)
}

pub fn folder() -> PathBuf {
    root().join("tests/node")
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn check_node() -> Result<(), String> {
    let version = Command::new("node").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let found = match &version {
        Ok(version) => version.as_str(),
        Err(_) => "none",
    };
    let major = found.trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or(0);
    let npm = Command::new("npm").arg("--version").output().is_ok();
    if major >= OLDEST && npm {
        return Ok(());
    }
    Err(format!(
        "These tests need Node.js {OLDEST} or later with npm, and on this machine there is {found}{}. \
         Install them with `apt-get install nodejs npm`, or from nodejs.org where that is older.",
        if npm { "" } else { " and no npm" }
    ))
}

/// Test processes may run side by side: one installs, the others wait for it.
fn install() -> Result<(), String> {
    let lock_file = folder().join("package-lock.json");
    let opened = File::open(&lock_file).map_err(|error| format!("{}: {error}", lock_file.display()))?;
    opened.lock().map_err(|error| error.to_string())?;
    let wanted = fs::read(&lock_file).map_err(|error| error.to_string())?;
    // What is installed is what this says, for it is written last.
    let installed = folder().join("node_modules/.installed-for.json");
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--prefix"]).arg(folder());
    let mut npm = spawn(npm);
    let status = npm.wait(INSTALLATION);
    if !status.is_some_and(|status| status.success()) {
        return Err(format!(
            "`npm ci --prefix tests/node` failed; run it by hand to see why.\n{}",
            npm.said().stderr
        ));
    }
    fs::write(&installed, wanted).map_err(|error| error.to_string())
}
