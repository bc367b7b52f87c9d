//! If the database does not answer in time, requests that need the database get 503, and all others are
//! answered.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::{Actor, CONTRACTS, Database, Postgres, Sqlite, TestApp, wait};

fn with_short_timeouts(database: Database) -> TestApp {
    TestApp::builder(database)
        .env("DATABASE_POOL_SIZE", "2")
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "300")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "300")
        .start()
}

fn creates_again(user: &Actor) {
    let again = || {
        let answer = user.post("/api/tasks", json!({ "title": "again" }));
        (answer.status == 201).then_some(())
    };
    wait::until(Duration::from_secs(10), again).expect("the service should recover by itself");
}

#[rstest]
fn a_database_that_does_not_answer_in_time_is_503(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_short_timeouts(db);
    let ada = app.user("ada");
    ada.has_task("before");
    let held = app.lock();
    for contract in CONTRACTS {
        let started = Instant::now();
        let answer = ada.post(&contract.tasks(&ada), json!({ "title": "t" }));
        answer.assert_unavailable();
        // A call may wait for both timeouts, 300 ms each. The rest of the limit is tolerance for a busy
        // machine.
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
    }
    drop(held);
    creates_again(&ada);
}

#[rstest]
fn many_waiting_calls_get_503_in_time_and_others_are_answered(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_short_timeouts(db);
    let ada = app.user("ada");
    ada.has_task("before");
    let held = app.lock();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                ada.post("/api/tasks", json!({ "title": "t" }))
                    .assert_unavailable();
            });
        }
        for _ in 0..20 {
            app.anonymous().get("/livez").expect(200);
            app.anonymous().get("/nowhere").expect(404);
            app.anonymous().get("/api/tasks").expect(401);
        }
    });
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    // During this pause, the statement of every refused call must reach its timeout. A statement that still
    // waited afterwards would take effect when the lock is released.
    std::thread::sleep(Duration::from_secs(1));
    drop(held);
    creates_again(&ada);
    // A call that was answered with 503 must not take effect later.
    let titles = ada.titles("/api/tasks");
    assert!(!titles.contains(&"t".to_owned()), "{titles:?}");
}

#[rstest]
fn closed_database_connections_are_replaced_without_failing_a_call(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("before");
    if app.kind == Database::Postgres {
        for _ in 0..3 {
            app.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
            assert_eq!(ada.titles("/api/tasks"), ["before"]);
        }
    }
    assert_eq!(ada.titles("/api/tasks"), ["before"]);
}
