//! The files in `.github/`, and two scripts that the release workflow runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use super::{ROOT, python_tools};
use crate::support::process::{Process, run};

const TIMEOUT: Duration = Duration::from_mins(1);

/// Validates the files against the JSON schemas that check-jsonschema contains.
#[test]
fn the_files_for_github_match_their_schemas() {
    for (schema, files) in [
        (
            "vendor.github-workflows",
            &[".github/workflows/ci.yml", ".github/workflows/release.yml"][..],
        ),
        ("vendor.dependabot", &[".github/dependabot.yml"]),
        (
            "vendor.github-issue-forms",
            &[
                ".github/ISSUE_TEMPLATE/bug.yml",
                ".github/ISSUE_TEMPLATE/feature.yml",
            ],
        ),
        (
            "vendor.github-issue-config",
            &[".github/ISSUE_TEMPLATE/config.yml"],
        ),
    ] {
        let mut check = Command::new(python_tools().join("check-jsonschema"));
        check.args(["--builtin-schema", schema]).args(files);
        run(check.current_dir(ROOT), TIMEOUT);
    }
}

/// zizmor reports security problems such as script injection, stored credentials and excessive permissions.
#[test]
fn zizmor_finds_no_security_problem_in_the_workflows() {
    let mut zizmor = Command::new(python_tools().join("zizmor"));
    zizmor.args([
        "--offline",
        "--no-progress",
        "--config",
        ".github/zizmor.yml",
        ".github",
    ]);
    let said = run(zizmor.current_dir(ROOT), TIMEOUT);
    assert!(said.contains("No findings to report"), "{said}");
}

#[test]
fn only_a_released_version_has_release_notes() {
    let notes = |version: &str| {
        let mut notes = Process::spawn(Command::new(format!("{ROOT}/scripts/release-notes")).arg(version));
        let succeeded = notes.wait(TIMEOUT).unwrap().success();
        (succeeded, notes.output().stdout)
    };
    let (succeeded, said) = notes("0.1.0");
    assert!(succeeded && said.contains("The first version."), "{said}");
    assert!(!said.contains("## "), "{said}");
    for version in ["0.0.9", "0.1", "unreleased"] {
        assert!(!notes(version).0, "{version}");
    }
}

#[test]
fn a_release_archive_contains_the_program_units_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    // The archive contains a script that runs the program, because the program itself is very large in a debug build.
    let program = folder.path().join("program");
    let script = format!(
        "#!/bin/sh\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_todo-backend")
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut package = Command::new(format!("{ROOT}/scripts/package"));
    let said = run(package.arg(&program).arg("todo-backend-test"), TIMEOUT);
    let archive = format!("{ROOT}/{}", said.trim());
    run(
        Command::new("tar")
            .args(["-xzf", &archive])
            .current_dir(folder.path()),
        TIMEOUT,
    );
    let unpacked = folder.path().join("todo-backend-test");
    for file in [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        ".env.example",
        "systemd/todo-backend.service",
        "systemd/todo-backend.socket",
        "completions/todo-backend.bash",
        "completions/_todo-backend",
        "completions/todo-backend.fish",
    ] {
        let size = fs::metadata(unpacked.join(file)).map(|metadata| metadata.len());
        assert!(size.is_ok_and(|size| size > 0), "{file}");
    }
    let said = run(
        Command::new(unpacked.join("todo-backend")).arg("--version"),
        TIMEOUT,
    );
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
}
