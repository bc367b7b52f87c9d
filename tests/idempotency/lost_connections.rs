//! A database connection is lost during a `POST` with a key: the outcome is unknown, so a retry must be safe.

use std::thread;

use serde_json::json;

use super::{assert_same, number_of_tasks, post};
use crate::support::{Contract, Database, TestApp, wait};
use std::time::Duration;

const TERMINATE_CONNECTIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[test]
fn a_retry_after_a_lost_connection_creates_no_second_task() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    let path = Contract::A.tasks(&ada);
    for number in 0..40 {
        let key = format!("key {number}");
        let body = json!({ "title": format!("task {number}") });
        let mut killer = app.connect();
        let first = thread::scope(|scope| {
            let call = scope.spawn(|| post(&ada, &path, &key, &body));
            // The connections are terminated three times, because the call may reach the database only after the
            // first time.
            for _ in 0..3 {
                killer.values(TERMINATE_CONNECTIONS);
            }
            call.join().unwrap()
        });
        if first.status != 201 {
            // If the outcome is unknown, the response must be a 503, which allows a retry.
            first.assert_problem(503);
            assert!(first.header("retry-after").is_some(), "{first}");
        }
        let again = wait::until(Duration::from_secs(5), || {
            let again = post(&ada, &path, &key, &body);
            (again.status != 503).then_some(again)
        });
        let again = again.expect("the service should recover").expect(201);
        if first.status == 201 {
            assert_same(&again, &first);
        }
        assert_eq!(number_of_tasks(&ada), number + 1);
    }
}
