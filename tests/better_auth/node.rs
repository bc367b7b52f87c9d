//! Installs the Node packages once and runs the scripts of `tests/node`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::process::Process;

/// The maximum time for the installation of the packages. It is long enough for an empty cache and a slow network.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(5);
const MIN_NODE_VERSION: u32 = 20;

/// Returns a command that runs a script of `tests/node`. If necessary, the packages are installed first.
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

/// Starts the command. The process ends when the returned value is dropped, or earlier.
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
    if major >= MIN_NODE_VERSION && npm {
        return Ok(());
    }
    Err(format!(
        "These tests need Node.js {MIN_NODE_VERSION} or later with npm, but this machine has {found}{}. \
         Install them with `apt-get install nodejs npm`, or from nodejs.org if that version is older.",
        if npm { "" } else { " and no npm" }
    ))
}

/// Installs the packages unless they are installed. Test processes may run in parallel. One of them then installs the
/// packages while the others wait for the lock.
fn install() -> Result<(), String> {
    let lock_file = folder().join("package-lock.json");
    let opened = File::open(&lock_file).map_err(|error| format!("{}: {error}", lock_file.display()))?;
    opened.lock().map_err(|error| error.to_string())?;
    let wanted = fs::read(&lock_file).map_err(|error| error.to_string())?;
    // This file is written last, so its content describes a complete installation.
    let installed = folder().join("node_modules/.installed-for.json");
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--prefer-offline", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder());
    let mut npm = spawn(npm);
    let status = npm.wait(INSTALL_TIMEOUT);
    if !status.is_some_and(|status| status.success()) {
        return Err(format!(
            "`npm ci --prefix tests/node` failed; run it manually to see the cause.\n{}",
            npm.output().stderr
        ));
    }
    fs::write(&installed, wanted).map_err(|error| error.to_string())
}
