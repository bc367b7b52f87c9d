//! `export`, `erase` and `backup`. These commands need no secret, so most tests configure none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::Builder;
use crate::support::cli::{Outcome, run};
use crate::support::process;
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase, Postgres, Sqlite, TestApp};

/// The number of tasks in the test of `export`. It is larger than the 500 tasks that `export` reads at a time.
const TASKS: usize = 2_600;

pub fn run_on(database: &OwnDatabase, arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[("DATABASE_URL", &database.url)], arguments)
}

fn exported(database: &OwnDatabase, user: &str) -> Value {
    let printed = run_on(database, &["export", user]).expect_success().stdout;
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

pub fn count(database: &OwnDatabase, table: &str, condition: &str) -> String {
    let count = database.value(&format!("SELECT count(*) FROM {table} WHERE {condition}"));
    count.unwrap()
}

/// Creates a user and one task, which the user creates with an idempotency key.
fn with_a_key(app: &TestApp, name: &str) -> Actor {
    let user = app.user(name);
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    user.request("POST", "/api/tasks", &headers, b"{\"title\": \"once\"}")
        .expect(201);
    user
}

/// Runs `erase` on a pseudo-terminal and answers its question. Returns whether it succeeded, and its output.
fn answer(database: &OwnDatabase, user: &str, answer: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "sleep 0.3; printf '{answer}\\n' | script -qec '{} erase {user}' /dev/null; echo \"code $?\"",
        env!("CARGO_BIN_EXE_todo-backend")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(folder.path());
    shell.env("DATABASE_URL", &database.url);
    let said = process::run(&mut shell, Duration::from_secs(20));
    (said.contains("code 0"), said)
}

#[rstest]
fn an_export_contains_the_user_and_the_tasks_in_the_apis_format(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let full = json!({
        "title": "\"Milk\" \u{1f95b}\n", "description": "two", "completed": true,
        "due_date": "2026-05-01T00:00:00.000001Z",
    });
    let first = ada.creates(full);
    app.user("bob").has_task("not hers");
    app.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TASKS}) \
         INSERT INTO tasks (user_id, title, completed) SELECT '{}', 'task ' || i, false FROM n",
        ada.id
    ));
    // The service assigns only positive ids, but other programs may insert tasks with other ids.
    app.execute(&format!(
        "INSERT INTO tasks (id, user_id, title, completed) \
         VALUES (-1, '{0}', 'negative', false), (0, '{0}', 'zero', false)",
        ada.id
    ));
    let mut expected = ada.get("/api/tasks").json().as_array().unwrap().clone();
    expected.sort_by_key(id);
    assert_eq!(expected[2], first);
    ada.patch(&format!("/api/tasks/{}/complete", id(&expected[3])))
        .expect(200);
    expected[3] = ada.get(&format!("/api/tasks/{}", id(&expected[3]))).json();
    let printed = exported(&app, &ada.id);
    assert_eq!(printed["tasks"], Value::from(expected));
    let user = &printed["user"];
    let row = |column: &str| {
        let query = format!("SELECT {column} FROM users WHERE id = '{}'", ada.id);
        Value::from(app.value(&query))
    };
    assert_eq!(user["id"], ada.id.as_str());
    assert_eq!(user["email"], row("email"));
    assert_eq!(user["name"], row("name"));
    assert!(user["name"].is_string(), "{user}");
    let made_at = user["created_at"].as_str().unwrap();
    let condition = format!("id = '{}' AND created_at = '{made_at}'", ada.id);
    assert_eq!(count(&app, "users", &condition), "1", "{made_at}");
    assert_eq!(user.as_object().unwrap().len(), 4);
}

#[rstest]
fn a_user_without_tasks_is_exported_and_an_unknown_user_is_an_error(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    assert_eq!(exported(&app, &ada.id)["tasks"], json!([]));
    for command in [&["export", "nobody"][..], &["erase", "nobody", "--yes"]] {
        let outcome = run_on(&app, command);
        assert_eq!(outcome.code, Some(1), "{command:?}");
        assert_eq!(outcome.stdout, "");
        assert!(
            outcome.stderr.contains("no user \"nobody\""),
            "{}",
            outcome.stderr
        );
    }
}

#[rstest]
fn erase_deletes_all_data_of_the_user_and_nothing_else(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let (ada, bob) = (with_a_key(&app, "ada"), with_a_key(&app, "bob"));
    let kept = |user: &Actor| {
        let hers = format!("user_id = '{}'", user.id);
        [
            count(&app, "users", &format!("id = '{}'", user.id)),
            count(&app, "tasks", &hers),
            count(&app, "idempotency_keys", &hers),
        ]
    };
    assert_eq!(kept(&ada), ["1", "1", "1"]);
    let said = run_on(&app, &["erase", &ada.id, "--yes"]).expect_success();
    assert!(said.stdout.contains("1 task"), "{}", said.stdout);
    assert_eq!(kept(&ada), ["0", "0", "0"]);
    assert_eq!(kept(&bob), ["1", "1", "1"]);
    // The running service must still work, also for the erased user.
    ada.has_task("a new start");
    assert_eq!(ada.titles("/api/tasks"), ["a new start"]);
}

#[rstest]
fn an_unusable_secret_does_not_stop_a_data_command(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("t");
    let folder = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("BETTER_AUTH_SECRET", "short"),
        ("BETTER_AUTH_SECRET_FILE", "/nowhere"),
    ] {
        let environment = [("DATABASE_URL", &*app.url), (variable, value)];
        run(folder.path(), &environment, &["export", &ada.id]).expect_success();
        let check = run(folder.path(), &environment, &["check-config"]);
        assert!(
            !check.success && check.stderr.contains(variable),
            "{}",
            check.everything()
        );
    }
}

#[rstest]
fn erase_asks_on_a_terminal_and_refuses_to_run_without_one(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("dear to her");
    let outcome = run_on(&app, &["erase", &ada.id]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("--yes"), "{}", outcome.stderr);
    let (done, said) = answer(&app, &ada.id, "n");
    assert!(!done && said.contains("including 1 task"), "{said}");
    assert_eq!(ada.titles("/api/tasks"), ["dear to her"]);
    let (done, said) = answer(&app, &ada.id, "y");
    assert!(done, "{said}");
    assert_eq!(count(&app, "tasks", "1 = 1"), "0");
}

#[rstest]
fn erase_keeps_the_row_in_a_table_of_better_auth(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = with_a_key(&app, "ada");
    app.execute("ALTER TABLE users ADD COLUMN email_verified boolean DEFAULT false NOT NULL");
    let said = run_on(&app, &["erase", &ada.id, "--yes"]).expect_success();
    assert!(said.stdout.contains("Better Auth"), "{}", said.stdout);
    assert_eq!(count(&app, "users", &format!("id = '{}'", ada.id)), "1");
    assert_eq!(count(&app, "tasks", "1 = 1"), "0");
    assert_eq!(count(&app, "idempotency_keys", "1 = 1"), "0");
}

/// Starts a service on a copy of the backup.
fn restored(backup: &Path) -> TestApp {
    let folder = TempDir::new().unwrap();
    fs::copy(backup, folder.path().join("todo.db")).unwrap();
    Builder::on(OwnDatabase::sqlite_in(folder).into()).start()
}

#[test]
fn a_backup_is_consistent_while_the_service_writes() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    ada.has_task("before");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.db");
    let done = AtomicBool::new(false);
    let (before, after) = thread::scope(|scope| {
        let written = scope.spawn(|| {
            let mut written = 1;
            while !done.load(Ordering::Relaxed) {
                ada.has_task("meanwhile");
                written += 1;
            }
            written
        });
        thread::sleep(Duration::from_millis(300));
        let before = ada.titles("/api/tasks").len();
        run_on(&app, &["backup", file.to_str().unwrap()]).expect_success();
        done.store(true, Ordering::Relaxed);
        (before, written.join().unwrap())
    });
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "only the backup should remain: {names:?}");
    let restored = restored(&file);
    assert_eq!(
        restored.value("SELECT integrity_check FROM pragma_integrity_check"),
        Some("ok".into())
    );
    let found = ada.at(restored.target()).titles("/api/tasks").len();
    assert!((before..=after).contains(&found), "{before} {found} {after}");
}

#[test]
fn a_backup_never_overwrites_a_file() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    app.user("ada").has_task("kept");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dear.db");
    fs::write(&file, "dear").unwrap();
    let missing = folder.path().join("missing/new.db");
    for target in [&file, &missing] {
        let outcome = run_on(&app, &["backup", target.to_str().unwrap()]);
        assert_eq!(outcome.code, Some(1));
        let name = target.file_name().unwrap().to_str().unwrap();
        assert!(outcome.stderr.contains(name), "{}", outcome.stderr);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_backup_of_postgresql_is_refused_in_favour_of_pg_dump() {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(Database::Postgres);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.db");
    let outcome = run_on(&database, &["backup", file.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("pg_dump"), "{}", outcome.stderr);
    assert!(!file.exists());
}

#[test]
fn no_command_creates_a_database_for_a_mistyped_url() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    for command in [
        &["export", "ada"][..],
        &["erase", "ada", "--yes"],
        &["backup", "new.db"],
    ] {
        let outcome = run(
            folder.path(),
            &[("DATABASE_URL", "sqlite://mistyped.db")],
            command,
        );
        assert_eq!(outcome.code, Some(1), "{command:?}");
        assert!(
            outcome.stderr.contains("no file mistyped.db"),
            "{}",
            outcome.stderr
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
