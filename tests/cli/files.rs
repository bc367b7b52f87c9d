//! The files that the service creates, their permissions, and the commands that create no files. One test is about
//! output to a closed pipe.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::app::SECRET;
use crate::support::cli::{command_through, run};
use crate::support::process::Process;
use crate::support::{Database, TestApp};

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o777
}

fn database_files(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", database.display()).into())
}

#[test]
fn only_the_owner_can_read_the_database_whatever_the_umask() {
    skip_at_a_deployment!();
    for umask in ["000", "022", "077", "377"] {
        let script = format!("umask {umask}; exec \"$@\"");
        let data = tempfile::tempdir().unwrap();
        let app = TestApp::builder(Database::Sqlite)
            .through(&["sh", "-c", &script, "sh"])
            .env(
                "DATABASE_URL",
                &format!("sqlite://{}/todo.db", data.path().display()),
            )
            .start();
        // After a write, SQLite's `-wal` and `-shm` files exist as well.
        app.user("ada").has_task("Buy milk");
        for file in database_files(&data.path().join("todo.db")) {
            assert_eq!(mode(&file), 0o600, "{} with umask {umask}", file.display());
        }
    }
}

#[test]
fn only_the_owner_can_access_a_created_folder() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/some/deep/todo.db", folder.path().display());
    let app = TestApp::builder(Database::Sqlite)
        .env("DATABASE_URL", &url)
        .start();
    app.user("ada").has_task("Buy milk");
    for created in ["some", "some/deep"] {
        assert_eq!(mode(&folder.path().join(created)), 0o700, "{created}");
    }
}

#[test]
fn files_of_an_earlier_version_are_made_private_but_their_folder_is_not() {
    skip_at_a_deployment!();
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let database = data.path().join("todo.db");
    let mut app = TestApp::builder(Database::Sqlite)
        .env("DATABASE_URL", &format!("sqlite://{}", database.display()))
        .start();
    app.user("ada").has_task("Buy milk");
    // A killed process leaves SQLite's `-wal` and `-shm` files behind.
    app.kill();
    for file in database_files(&database) {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    app.restart();
    for file in database_files(&database) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(data.path()), 0o755);
    let line = format!("permissions of {} changed from 644 to 600", database.display());
    assert!(app.log().contains(&line), "{}", app.log());
    assert_eq!(app.user("ada").titles("/api/tasks"), ["Buy milk"]);
}

#[test]
fn a_readable_secret_file_is_made_private() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("data/todo.db.secret");
    run(folder.path(), &[], &["token", "alice"]).expect_success();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    run(folder.path(), &[], &["token", "alice"]).expect_success();
    assert_eq!(mode(&secret), 0o600);
}

#[test]
fn a_secret_is_not_written_through_a_symbolic_link() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(folder.path().join("data")).unwrap();
    symlink(&elsewhere, folder.path().join("data/todo.db.secret")).unwrap();
    assert!(!run(folder.path(), &[], &["token", "alice"]).success);
    assert!(!elsewhere.exists());
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_left_alone() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.txt");
    fs::write(&notes, "These notes are not a database.").unwrap();
    fs::set_permissions(&notes, fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = run(
        folder.path(),
        &[("DATABASE_URL", "sqlite://notes.txt")],
        &["migrate"],
    );
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("not an SQLite database"),
        "{}",
        outcome.stderr
    );
    assert_eq!(mode(&notes), 0o644);
    assert_eq!(
        fs::read_to_string(&notes).unwrap(),
        "These notes are not a database."
    );
}

#[test]
fn commands_that_only_read_create_no_files() {
    skip_at_a_deployment!();
    for (command, succeeds) in [
        ("check-config", true),
        ("openapi", true),
        ("healthcheck", false),
        ("inspect-token", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // No process listens on this port.
        let outcome = run(folder.path(), &[("PORT", "9")], &[command]);
        assert_eq!(outcome.success, succeeds, "{command}: {}", outcome.everything());
        let created: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert!(created.is_empty(), "{command} created {created:?}");
    }
}

#[test]
fn check_config_reports_whether_the_secret_exists() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let before = run(folder.path(), &[], &["check-config"]).expect_success();
    assert!(
        before
            .stdout
            .contains("BETTER_AUTH_SECRET=(none yet; the service will create one in data/todo.db.secret)"),
        "{}",
        before.stdout
    );
    run(folder.path(), &[], &["token", "alice"]).expect_success();
    let after = run(folder.path(), &[], &["check-config"]).expect_success();
    assert!(
        after
            .stdout
            .contains("BETTER_AUTH_SECRET=(hidden, from data/todo.db.secret)"),
        "{}",
        after.stdout
    );
}

#[test]
fn a_closed_output_pipe_is_not_an_error() {
    skip_at_a_deployment!();
    for arguments in [&["token", "alice"][..], &["openapi"], &["check-config"]] {
        let folder = tempfile::tempdir().unwrap();
        // `true` exits during the pause, so the pipe is closed when the command writes to it.
        let script = "{ sleep 0.3; \"$@\"; echo \"status $?\" >&2; } | true";
        let through = ["sh", "-c", script, "sh"].map(str::to_owned);
        let mut command = command_through(&through, folder.path());
        command.env("BETTER_AUTH_SECRET", SECRET).args(arguments);
        let process = Process::spawn(command);
        let ended = || process.output().stderr.contains("status").then_some(());
        crate::support::wait::until(Duration::from_secs(10), ended).expect("the command should exit");
        assert_eq!(process.output().stderr, "status 0\n", "{arguments:?}");
    }
}
