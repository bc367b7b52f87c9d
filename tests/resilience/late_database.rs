//! The database is not available when the service starts.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{MAX_PAUSE, until_ready_is, while_alive};
use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::{CONTRACTS, Database, OwnDatabase, TestApp, wait};

fn with_short_timeouts(database: OwnDatabase) -> TestApp {
    Builder::on(Arc::new(database))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "500")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "1000")
        .without_its_database()
        .start()
}

/// Checks that requests that need the database get 503 in time, and that the service answers other requests
/// as usual.
fn assert_refuses(app: &TestApp) {
    let ada = app.user("ada");
    while_alive(app, || {
        app.anonymous().get("/readyz").assert_unavailable();
        for contract in CONTRACTS {
            for (method, path) in contract.routes(&ada, 1) {
                if method == "HEAD" {
                    continue;
                }
                let body = json!({ "title": "t", "completed": true });
                let started = Instant::now();
                let answer = match method {
                    "GET" | "DELETE" => ada.request(method, &path, &[], &[]),
                    _ => ada.json(method, &path, &body),
                };
                answer.assert_unavailable();
                assert!(started.elapsed() < Duration::from_millis(1_500) + MAX_PAUSE);
            }
            app.anonymous().get(&contract.tasks(&ada)).assert_unauthorized();
            let nothing = ada.post(&contract.tasks(&ada), json!({}));
            nothing.assert_bad_fields(contract, &["title"]);
        }
        app.anonymous().get("/nowhere").assert_problem(404);
        app.anonymous().get("/openapi.json").expect(200);
    });
}

#[test]
fn a_database_that_becomes_available_later_is_used_without_a_restart() {
    skip_at_a_deployment!();
    let mut server = OwnPostgres::prepare();
    let mut app = with_short_timeouts(server.database());
    assert_refuses(&app);
    server.start_again();
    until_ready_is(200, &app);
    let ada = app.user("ada");
    let task = ada.has_task("at last");
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
    assert_eq!(app.value("SELECT count(*) FROM tasks").as_deref(), Some("1"));
    assert!(app.process().ended().is_none());
}

#[test]
fn a_database_that_accepts_connections_but_never_answers_is_503_too() {
    skip_at_a_deployment!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let app = with_short_timeouts(OwnDatabase::of_server(url, port));
    assert_refuses(&app);
}

#[test]
fn a_start_does_not_wait_for_the_database() {
    skip_at_a_deployment!();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let database = Arc::new(OwnDatabase::of_server(url, port));
    // The start is repeated until it is fast enough, because a busy machine may delay it. If the start waited
    // for the database, each attempt would take 30 seconds.
    let soon = wait::until(Duration::from_mins(1), || {
        let started = Instant::now();
        let app = Builder::on(Arc::clone(&database))
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "30000")
            .without_its_database()
            .start();
        (started.elapsed() < Duration::from_secs(3)).then_some(app)
    });
    let mut app = soon.expect("the service should start in time");
    assert!(app.stop(), "the service should stop when it is told to");
}

#[test]
fn calls_during_the_migrations_wait_for_them() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    // A replica that runs the migrations holds this lock.
    let mut other = database.connect();
    other.execute(&format!(
        "BEGIN; SELECT pg_advisory_xact_lock({})",
        0x746f_646f_6462_i64
    ));
    let app = Builder::on(database).without_its_database().start();
    let ada = app.user("ada");
    thread::scope(|scope| {
        let call = scope.spawn(|| ada.post("/api/tasks", json!({ "title": "first" })));
        let ready = scope.spawn(|| app.anonymous().get("/readyz"));
        thread::sleep(Duration::from_millis(500));
        assert!(!call.is_finished() && !ready.is_finished());
        other.execute("COMMIT");
        call.join().unwrap().expect(201);
        ready.join().unwrap().expect(200);
    });
}
