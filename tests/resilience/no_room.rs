//! The disk of the embedded database is full.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::watch::{assert_no_errors, recovers};
use crate::support::app::Builder;
use crate::support::{Actor, OwnDatabase, Response, TestApp};

/// The available space, or the maximum size of each file, in bytes. The write-ahead log stays shorter than
/// this, because it is checkpointed regularly.
const DISK_BYTES: usize = 8 << 20;

fn create(user: &Actor, number: usize) -> Response {
    let description = "\u{1f4be}".repeat(1_000);
    user.post(
        "/api/tasks",
        json!({ "title": format!("{number}"), "description": description }),
    )
}

/// Writes until 20 requests were refused. Checks that no acknowledged task was lost, and that the service
/// works again after `free_space`.
fn assert_nothing_is_lost_when_full(app: &mut TestApp, free_space: impl FnOnce(&mut TestApp)) {
    let ada = app.user("ada");
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for number in 0..4 * DISK_BYTES / 4_000 {
        let answer = create(&ada, number);
        match answer.status {
            201 => acknowledged.push(format!("{number}")),
            507 => drop(answer.assert_problem(507)),
            _ => answer.assert_unavailable(),
        }
        refused += usize::from(answer.status != 201);
        if refused == 20 {
            break;
        }
    }
    assert_eq!(refused, 20, "the disk never became full");
    assert!(acknowledged.len() > 50, "{} were written", acknowledged.len());
    app.anonymous().get("/livez").expect(200);
    assert_there(&ada, &acknowledged);

    free_space(app);
    recovers(&ada);
    acknowledged.push("again".to_owned());
    assert_there(&ada, &acknowledged);
    assert_no_errors(app);
    app.restart();
    assert_there(&app.user("ada"), &acknowledged);
}

/// Checks that exactly the acknowledged tasks exist, so that no refused request had an effect.
fn assert_there(user: &Actor, acknowledged: &[String]) {
    let mut titles = user.titles("/api/tasks");
    titles.reverse();
    assert_eq!(titles, acknowledged);
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).status();
    status.expect("the program should be installed").success()
}

/// A mounted file system, which is unmounted on drop. The database in it must be deleted before.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn at(folder: &'a Path, options: &str) -> Option<Self> {
        let path = folder.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path]).then_some(Self(folder))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.0.to_str().unwrap()]);
    }
}

fn app_in(folder: &Path, through: &[&str]) -> TestApp {
    let folder = TempDir::new_in(folder).unwrap();
    let database = Arc::new(OwnDatabase::sqlite_in(folder));
    Builder::on(database).through(through).start()
}

#[test]
fn a_full_disk_is_503_until_space_is_free_and_nothing_is_lost() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::at(folder.path(), &format!("size={DISK_BYTES}")) else {
        // The next test covers the same behaviour without this privilege.
        println!("skipped: the test needs the right to mount a file system");
        return;
    };
    let mut app = app_in(folder.path(), &[]);
    assert_nothing_is_lost_when_full(&mut app, |_| {
        let path = folder.path().to_str().unwrap();
        assert!(run("mount", &["-o", "remount,size=64m", path]));
    });
    drop(app);
    drop(mount);
}

#[test]
fn a_file_size_limit_is_503_until_it_is_raised_and_nothing_is_lost() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    // SIGXFSZ would end the process, so an operator who limits the size of files must make the process ignore
    // this signal.
    let mut app = app_in(folder.path(), &["env", "--ignore-signal=XFSZ"]);
    let limit = |app: &mut TestApp, bytes: &str| {
        let process = app.process().id().to_string();
        assert!(run("prlimit", &["--pid", &process, &format!("--fsize={bytes}:")]));
    };
    limit(&mut app, &DISK_BYTES.to_string());
    assert_nothing_is_lost_when_full(&mut app, |app| limit(app, "unlimited"));
}
