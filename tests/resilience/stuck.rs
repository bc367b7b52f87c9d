//! A request that does not end delays the shutdown only for a limited time, and a second signal ends the
//! process at once.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::database::Connection as Lock;
use crate::support::raw::{self, Connection};
use crate::support::{Database, TestApp};

/// Returns a service with a request that waits for a lock of another program.
fn with_a_stuck_request() -> (TestApp, Connection, Lock) {
    let app = TestApp::builder(Database::Postgres)
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "60000")
        .start();
    let ada = app.user("ada");
    ada.has_task("first");
    let held = app.lock();
    let mut waiting = Connection::open(&app);
    let token = ada.token.unwrap();
    waiting.send(raw::request(&app, "GET /api/tasks", &token, &[], b""));
    thread::sleep(Duration::from_millis(300));
    (app, waiting, held)
}

#[test]
fn the_shutdown_waits_eight_seconds_for_a_stuck_request() {
    skip_at_a_deployment!();
    let (mut app, mut waiting, _held) = with_a_stuck_request();
    let started = Instant::now();
    app.process().terminate();
    let status = app.process().wait(Duration::from_secs(30));
    let took = started.elapsed();
    assert!(status.is_some(), "the process should exit in time");
    assert!(took > Duration::from_secs(7), "{took:?}");
    assert!(waiting.read().is_none(), "the connection should be closed");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    skip_at_a_deployment!();
    let (mut app, _waiting, _held) = with_a_stuck_request();
    app.process().terminate();
    thread::sleep(Duration::from_millis(500));
    assert!(app.process().ended().is_none());
    let started = Instant::now();
    app.process().signal("-INT");
    let status = app.process().wait(Duration::from_secs(5));
    assert!(status.is_some() && started.elapsed() < Duration::from_secs(6));
}
