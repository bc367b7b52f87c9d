//! `deploy/systemd`, as systemd itself judges it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ROOT;
use crate::support::process::run;

const LIMIT: Duration = Duration::from_secs(60);
const UNITS: [&str; 2] = ["todo-backend.socket", "todo-backend.service"];

/// A file system's root with systemd's own units, ours, and a program where ours expects it.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let [programs, own, theirs] = ["usr/local/bin", "etc/systemd/system", "usr/lib/systemd/system"]
        .map(|folder| root.path().join(folder));
    for folder in [&programs, &own] {
        fs::create_dir_all(folder).unwrap();
    }
    let system = ["/usr/lib/systemd/system", "/lib/systemd/system"];
    let system = system.into_iter().find(|folder| Path::new(folder).exists());
    let system = system.expect("systemd's units; apt-get install systemd");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    run(Command::new("cp").args(["-r", system]).arg(&theirs), LIMIT);
    fs::copy("/bin/true", programs.join("todo-backend")).unwrap();
    for unit in UNITS {
        fs::copy(format!("{ROOT}/deploy/systemd/{unit}"), own.join(unit)).unwrap();
    }
    root
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let root = machine();
    let said = run(
        Command::new("systemd-analyze")
            .arg(format!("--root={}", root.path().display()))
            .args(["--man=no", "verify"])
            .args(UNITS),
        LIMIT,
    );
    // It ends well with an unknown setting, too, and only mentions it.
    assert!(!said.contains("todo-backend"), "{said}");
}

#[test]
fn the_service_is_exposed_less_than_2_of_10() {
    let unit = format!("{ROOT}/deploy/systemd/todo-backend.service");
    let said = run(
        Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
            .arg(unit),
        LIMIT,
    );
    assert!(said.contains("Overall exposure level"), "{said}");
}
