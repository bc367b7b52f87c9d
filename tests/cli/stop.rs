//! SIGTERM, which an orchestrator sends before it kills a process, and SIGHUP, which a process receives when its
//! terminal is closed. One test is about a stdout that cannot be written to.

use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_sigterm_stops_the_service_cleanly_and_in_time(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    app.user("ada").has_task("Buy milk");
    let started = Instant::now();
    assert!(app.stop(), "the process should exit successfully");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}

#[rstest]
fn a_sighup_stops_the_service_as_well(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("before");
    let status = thread::scope(|scope| {
        let held = app.lock();
        let call = scope.spawn(|| ada.post("/api/tasks", json!({ "title": "in flight" })));
        thread::sleep(Duration::from_millis(300));
        app.signal("-HUP");
        thread::sleep(Duration::from_millis(300));
        drop(held);
        call.join().unwrap().expect(201);
        app.process().wait(Duration::from_secs(10))
    });
    assert!(status.expect("the process should exit in time").success());
}

#[rstest]
fn a_sighup_that_nohup_ignores_is_ignored(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .through(&["env", "--ignore-signal=HUP"])
        .start();
    app.signal("-HUP");
    thread::sleep(Duration::from_secs(1));
    app.user("ada").has_task("Buy milk");
    assert!(!app.log().contains("stopping"), "{}", app.log());
}

#[rstest]
fn an_unwritable_stdout_is_not_an_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let to_full_device = ["sh", "-c", "exec \"$@\" > /dev/full", "sh"];
    let app = TestApp::builder(db).through(&to_full_device).start();
    app.user("ada").has_task("Buy milk");
}

#[rstest]
fn a_request_in_flight_is_answered_before_the_process_exits(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("before");
    let stopped = thread::scope(|scope| {
        let held = app.lock();
        let call = scope.spawn(|| ada.post("/api/tasks", json!({ "title": "in flight" })));
        // During the pause, the request arrives at the service and waits for the lock.
        thread::sleep(Duration::from_millis(300));
        let stop = scope.spawn(|| app.stop());
        thread::sleep(Duration::from_millis(300));
        drop(held);
        call.join().unwrap().expect(201);
        stop.join().unwrap()
    });
    assert!(stopped);
}
