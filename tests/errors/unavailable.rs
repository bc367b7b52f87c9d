//! A database that does not answer in time: 503, in time, and only for what needs it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Actor, CONTRACTS, Database, TestApp, wait};

fn short_of_patience(database: Database) -> TestApp {
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
    wait::until(Duration::from_secs(10), again).expect("the service recovers by itself");
}

on_both_databases!(
    fn a_database_that_does_not_answer_in_time_is_503(db: Database) {
        let app = short_of_patience(db);
        let ada = app.user("ada");
        ada.has_task("before");
        let held = app.lock();
        for contract in CONTRACTS {
            let started = Instant::now();
            let answer = ada.post(&contract.tasks(&ada), json!({ "title": "t" }));
            answer.assert_unavailable();
            // Two bounds of 300 ms, and room for a busy machine.
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{:?}",
                started.elapsed()
            );
        }
        drop(held);
        creates_again(&ada);
    }

    fn many_who_wait_get_503_in_time_and_the_rest_is_answered(db: Database) {
        let app = short_of_patience(db);
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
        // Time enough for what was refused and not given up to be done all the same.
        std::thread::sleep(Duration::from_secs(1));
        drop(held);
        creates_again(&ada);
        // What was answered with 503 was not done behind the client's back.
        let titles = ada.titles("/api/tasks");
        assert!(!titles.contains(&"t".to_owned()), "{titles:?}");
    }

    fn connections_that_died_are_replaced_without_the_client_seeing_it(db: Database) {
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
);
