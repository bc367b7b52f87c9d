//! Checks the units in `deploy/systemd` with systemd's own tools.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ROOT;
use crate::support::process::run;

const TIMEOUT: Duration = Duration::from_mins(1);
const UNITS: [&str; 2] = ["todo-backend.socket", "todo-backend.service"];

/// Creates a root file system that contains the distribution's units, the units of `deploy/systemd`, and a program at
/// the path that they name.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let [programs, own, theirs] = ["usr/local/bin", "etc/systemd/system", "usr/lib/systemd/system"]
        .map(|folder| root.path().join(folder));
    for folder in [&programs, &own] {
        fs::create_dir_all(folder).unwrap();
    }
    let system = ["/usr/lib/systemd/system", "/lib/systemd/system"];
    let system = system.into_iter().find(|folder| Path::new(folder).exists());
    let system = system.expect("systemd is missing: apt-get install systemd");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    run(Command::new("cp").args(["-r", system]).arg(&theirs), TIMEOUT);
    fs::copy("/bin/true", programs.join("todo-backend")).unwrap();
    for unit in UNITS {
        fs::copy(format!("{ROOT}/deploy/systemd/{unit}"), own.join(unit)).unwrap();
    }
    root
}

#[test]
fn systemd_accepts_the_units() {
    let root = machine();
    let said = run(
        Command::new("systemd-analyze")
            .arg(format!("--root={}", root.path().display()))
            .args(["--man=no", "verify"])
            .args(UNITS),
        TIMEOUT,
    );
    // For an unknown setting, `systemd-analyze` succeeds and only prints a message, which names the unit.
    assert!(!said.contains("todo-backend"), "{said}");
}

#[test]
fn the_exposure_level_of_the_service_is_below_2() {
    let unit = format!("{ROOT}/deploy/systemd/todo-backend.service");
    let said = run(
        Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
            .arg(unit),
        TIMEOUT,
    );
    assert!(said.contains("Overall exposure level"), "{said}");
}
