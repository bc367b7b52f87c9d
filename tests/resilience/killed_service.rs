//! The service is killed under load and started again.

use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::writers::assert_each_is_there_once;
use crate::support::{Actor, Database, Postgres, Response, Sqlite, TestApp};

fn create_once(user: &Actor, title: &str) -> Option<Response> {
    let body = json!({ "title": title }).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", title)];
    user.try_request("POST", "/api/tasks", &headers, body.as_bytes())
        .ok()
}

/// Creates tasks until the service no longer answers. Returns the titles of the acknowledged tasks, and the
/// title of the task whose outcome is unknown.
fn write(user: &Actor, name: &str) -> (Vec<String>, String) {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let title = format!("{name}-{number}");
        match create_once(user, &title) {
            Some(answer) => answer.expect(201),
            None => return (acknowledged, title),
        };
        acknowledged.push(title);
    }
    unreachable!("nobody can count that far")
}

#[rstest]
fn a_service_killed_under_load_loses_no_task_and_creates_none_twice(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let mut expected = Vec::new();
    for round in 0..3 {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let user = app.user("ada");
                thread::spawn(move || write(&user, &format!("{round}-{writer}")))
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        app.kill();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        app.restart();
        let ada = app.user("ada");
        for (acknowledged, in_doubt) in written {
            expected.extend(acknowledged);
            // The outcome of this request is unknown, but its key makes a retry safe.
            create_once(&ada, &in_doubt)
                .expect("the service should answer")
                .expect(201);
            expected.push(in_doubt);
        }
    }
    let ada = app.user("ada");
    assert_each_is_there_once(&ada, &expected, 25);
    assert_eq!(ada.titles("/api/tasks").len(), expected.len());
}
