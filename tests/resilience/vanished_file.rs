//! The file of the embedded database or its write-ahead log is deleted or replaced while the service runs.
//! Further tests check that the file alone is complete after a stop, and that the write-ahead log stays short.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::task::id;
use crate::support::{Actor, Database, TestApp};

fn file(app: &TestApp) -> PathBuf {
    app.url.strip_prefix("sqlite://").unwrap().into()
}

/// Checks that writes are refused. An acknowledged write would be lost when the process ends.
#[track_caller]
fn assert_writes_are_refused(app: &TestApp, ada: &Actor, task: i64) {
    let path = format!("/api/tasks/{task}");
    app.anonymous().get("/readyz").assert_unavailable();
    ada.post("/api/tasks", json!({ "title": "lost" }))
        .assert_unavailable();
    let key = [("idempotency-key", "k"), ("content-type", "application/json")];
    ada.request("POST", "/api/tasks", &key, br#"{"title":"lost"}"#)
        .assert_unavailable();
    ada.put(&path, json!({ "title": "lost" })).assert_unavailable();
    ada.patch(&format!("{path}/complete")).assert_unavailable();
    ada.delete(&path).assert_unavailable();
    app.user("new")
        .post("/api/tasks", json!({ "title": "lost" }))
        .assert_unavailable();
    app.anonymous().get("/livez").expect(200);
    let log = app.log();
    assert!(
        log.contains("was deleted or replaced while the service was running"),
        "{log}"
    );
}

#[test]
fn writes_to_a_deleted_database_file_are_refused() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    fs::remove_file(file(&app)).unwrap();
    assert_writes_are_refused(&app, &ada, task);
    assert!(
        !file(&app).exists(),
        "the service should not create an empty file in its place"
    );
}

#[test]
fn writes_to_a_replaced_database_file_are_refused_until_it_is_back() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    let (here, aside) = (file(&app), file(&app).with_extension("aside"));
    fs::rename(&here, &aside).unwrap();
    fs::copy(&aside, &here).unwrap();
    assert_writes_are_refused(&app, &ada, task);

    fs::rename(&aside, &here).unwrap();
    app.anonymous().get("/readyz").expect(200);
    ada.has_task("Buy bread");
    assert_eq!(ada.titles("/api/tasks?sort=title"), ["Buy bread", "Buy milk"]);
}

#[test]
fn writes_are_refused_if_the_write_ahead_log_was_deleted() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    fs::remove_file(file(&app).with_extension("db-wal")).unwrap();
    assert_writes_are_refused(&app, &ada, task);
}

#[test]
fn the_database_file_alone_is_complete_after_a_stop() {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    ada.has_task("Buy milk");
    app.stop();
    let file = file(&app);
    for suffix in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(file.with_extension(suffix));
    }
    app.restart();
    assert_eq!(app.user("ada").titles("/api/tasks"), ["Buy milk"]);
}

#[test]
fn the_write_ahead_log_stays_short() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    let description = "x".repeat(1_000);
    for number in 0..600 {
        let task = json!({ "title": format!("task {number}"), "description": description });
        ada.post("/api/tasks", task).expect(201);
    }
    // Without checkpoints, 600 writes would make the log about 23 MB long.
    let bytes = fs::metadata(file(&app).with_extension("db-wal")).unwrap().len();
    assert!(bytes < 8 << 20, "the log has {bytes} bytes");
}
