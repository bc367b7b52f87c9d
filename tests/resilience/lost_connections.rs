//! The server closes connections, as a serverless database does when it is suspended. The next request must
//! not fail, whether it reads or writes.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::task::id;
use crate::support::{Actor, Database, TestApp, random, wait};

/// Checks that sixteen concurrent reads and writes succeed after `lose` was called.
fn assert_all_calls_succeed(user: &Actor, lose: impl FnOnce()) {
    let task = |number: usize| format!("/api/tasks/{}", id(&user.has_task(&format!("task {number}"))));
    let tasks: Vec<String> = (0..16).map(task).collect();
    // These reads make the HTTP workers open connections, so that several connections are lost.
    at_once(|number| drop(user.get(&tasks[number]).expect(200)));
    lose();
    at_once(|number| {
        let path = &tasks[number];
        match number % 8 {
            0 => user.get(path).expect(200),
            1 => user.patch(&format!("{path}/complete")).expect(200),
            2 => user.get("/api/tasks?limit=3").expect(200),
            3 => user.post("/api/tasks", json!({ "title": "new" })).expect(201),
            4 => user.put(path, json!({ "title": "changed" })).expect(200),
            5 => user.delete(path).expect(204),
            6 => {
                let key = format!("{:x}", random::number());
                let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
                user.request("POST", "/api/tasks", &headers, br#"{"title":"once"}"#)
                    .expect(201)
            }
            _ => user.get("/api/tasks/0").expect(404),
        };
    });
}

fn at_once(call: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        for number in 0..16 {
            let (barrier, call) = (&barrier, &call);
            scope.spawn(move || {
                barrier.wait();
                call(number);
            });
        }
    });
}

/// Terminates all connections to the database and waits until they have ended.
fn terminate_all(app: &TestApp) {
    app.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

#[test]
fn connections_lost_right_after_a_call_are_replaced_before_the_next() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    let ada = app.user("ada");
    for _ in 0..5 {
        assert_all_calls_succeed(&ada, || terminate_all(&app));
    }
}

#[test]
fn idle_connections_that_are_lost_are_replaced_before_the_next_call() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    let ada = app.user("ada");
    assert_all_calls_succeed(&ada, || {
        terminate_all(&app);
        thread::sleep(Duration::from_millis(1_200));
    });
    assert_all_calls_succeed(&ada, || {
        thread::sleep(Duration::from_millis(1_200));
        terminate_all(&app);
    });
}

#[test]
fn a_server_restart_between_two_calls_fails_no_call() {
    skip_at_a_deployment!();
    let mut server = OwnPostgres::start();
    let app = Builder::on(Arc::new(server.database())).start();
    let ada = app.user("ada");
    assert_all_calls_succeed(&ada, || {
        server.stop_immediately();
        server.start_again();
    });
}

#[test]
fn a_long_list_is_repeated_if_its_connection_is_lost_before_the_first_byte() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    let ada = app.user("ada");
    let oldest = id(&ada.has_task("oldest"));
    app.execute(&format!(
        "INSERT INTO tasks (user_id, title) SELECT '{owner}', 'task ' || n FROM generate_series(1, 700) n; \
         ALTER TABLE tasks RENAME TO all_tasks; \
         CREATE VIEW tasks AS SELECT * FROM all_tasks WHERE id <> {oldest} OR pg_sleep(1)::text = ''",
        owner = ada.id,
    ));
    for method in ["GET", "HEAD"] {
        thread::scope(|scope| {
            let call = scope.spawn(|| ada.request(method, "/api/tasks", &[], b""));
            // The first statement reads only the newest tasks. The next one reads all tasks, to compute the
            // `ETag`, and sleeps at the oldest. No byte of the response has been sent by then.
            let sleeping = "SELECT count(*) FROM pg_stat_activity \
                            WHERE datname = current_database() AND wait_event = 'PgSleep'";
            let is_sleeping = || (app.database().value(sleeping)? != "0").then_some(());
            wait::until(Duration::from_secs(10), is_sleeping).expect("the list should be read");
            terminate_all(&app);
            let answer = call.join().unwrap().expect(200);
            if method == "GET" {
                assert_eq!(answer.json().as_array().unwrap().len(), 701);
            }
        });
    }
}
