//! The `{user_id}` of contract B must be the token's user; otherwise the response is 403.

use rstest::rstest;
use serde_json::json;

use crate::support::contract::encode;
use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::{Actor, Contract, Database, Postgres, Sqlite, TestApp};

/// Returns calls on the routes of `other`: each route without a body, and those that accept a body also with
/// a valid body and with invalid ones.
fn calls_under(other: &Actor, task: i64) -> Vec<(&'static str, String, Vec<u8>)> {
    let good = json!({ "title": "t" }).to_string().into_bytes();
    let mut calls = Vec::new();
    for (method, path) in Contract::B.routes(other, task) {
        calls.push((method, path.clone(), Vec::new()));
        if matches!(method, "POST" | "PUT" | "PATCH") {
            calls.push((method, path.clone(), good.clone()));
            calls.push((method, path.clone(), b"{\"title\": 5".to_vec()));
            calls.push((method, path, b"\xff".to_vec()));
        }
    }
    calls
}

#[rstest]
fn another_users_id_is_forbidden_whether_that_user_exists_or_not(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    let nobody = app.user("nobody");
    let task = id(&eve.has_task("Eve's"));
    let mut bodies = Vec::new();
    for other in [&eve, &nobody] {
        for (method, path, body) in calls_under(other, task) {
            let answer = ada.body(method, &path, &body);
            assert_eq!(answer.status, 403, "{answer}");
            if method != "HEAD" {
                answer.assert_problem(403);
                bodies.push(answer.body_without_request_id());
            }
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "all responses should be identical: {bodies:#?}");
    let list = eve.get(&Contract::B.tasks(&eve)).expect(200).json();
    assert_eq!(list[0]["title"], "Eve's");
    assert_eq!(list[0]["completed"], false);
}

#[rstest]
fn forbidden_comes_before_the_media_type_the_size_and_the_query(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    let tasks = Contract::B.tasks(&eve);
    let text = [("content-type", "text/plain")];
    ada.request("POST", &tasks, &text, b"hello").assert_problem(403);
    ada.get(&format!("{tasks}?status=wrong&sort=wrong"))
        .assert_problem(403);
    ada.get(&Contract::B.task(&eve, "abc")).assert_problem(403);

    let large = vec![b' '; 100 << 10];
    let token = ada.token.clone().unwrap();
    let headers = [
        "Content-Type: application/json",
        &format!("Content-Length: {}", large.len()),
    ];
    let request = raw::request(&app, &format!("POST {tasks}"), &token, &headers, &large);
    let answer = Connection::open(&app)
        .send(request)
        .read()
        .expect("the service should answer");
    answer.assert_problem(403);
}

#[rstest]
fn a_missing_token_is_401_before_403(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let eve = app.user("eve");
    for (method, path, body) in calls_under(&eve, 1) {
        let answer = app.anonymous().body(method, &path, &body);
        assert_eq!(answer.status, 401, "{answer}");
    }
}

#[rstest]
fn an_id_of_any_characters_works_percent_encoded(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for start in [
        "auth0|5 f/ü",
        "a+b@c.d:é?#&=%41",
        "..",
        "tasks",
        "日本語",
        "100%",
        "\"'<>\\",
    ] {
        let user = app.user_with_id(&app.unique(start));
        let tasks = Contract::B.tasks(&user);
        let task = user.post(&tasks, json!({ "title": "mine" })).expect(201);
        let location = task
            .header("location")
            .expect("the response should have Location")
            .to_owned();
        let task = task.json();
        assert_eq!(task["user_id"], *user.id);
        let item = Contract::B.task(&user, id(&task));
        assert_eq!(user.get(&location).expect(200).json(), task);
        assert_eq!(user.get(&item).expect(200).json(), task);
        assert_eq!(user.get(&tasks).expect(200).json(), json!([task]));
        user.patch(&Contract::B.complete(&user, id(&task))).expect(200);
        user.put(&item, json!({ "title": "still mine" })).expect(200);
        user.delete(&item).expect(204);
    }
}

#[rstest]
fn a_user_may_be_called_tasks(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::start(db);
    let tasks = app.user_with_id("tasks");
    let other = app.user("other");
    let task = tasks
        .post("/api/tasks/tasks", json!({ "title": "mine" }))
        .expect(201);
    let task = task.json();
    let item = format!("/api/tasks/tasks/{}", id(&task));
    assert_eq!(tasks.get(&item).expect(200).json(), task);
    assert_eq!(tasks.get("/api/tasks/tasks").expect(200).json(), json!([task]));
    assert_eq!(tasks.get("/api/tasks").expect(200).json(), json!([task]));
    assert_eq!(
        tasks.get(&format!("/api/tasks/{}", id(&task))).expect(200).json(),
        task
    );
    tasks.patch(&format!("{item}/complete")).expect(200);
    // For every other user, `/api/tasks/tasks` is a task whose id is not a number, and `item` is a path of
    // the user `tasks`.
    other.get("/api/tasks/tasks").assert_problem(404);
    other.get(&item).assert_problem(403);
    other.delete(&item).assert_problem(403);
    tasks.delete(&item).expect(204);
}

#[rstest]
fn ids_are_compared_exactly(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user_with_id(&app.unique("adé"));
    for other in [
        ada.id.to_uppercase(),
        format!("{} ", ada.id),
        format!(" {}", ada.id),
        ada.id.replace('é', "e\u{301}"),
        format!("{}\0", ada.id),
        format!("{}/", ada.id),
        encode(&ada.id),
    ] {
        let path = format!("/api/{}/tasks", encode(&other));
        ada.get(&path).assert_problem(403);
    }
}

#[rstest]
fn a_token_cannot_write_under_the_path_of_another_user(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    for _ in 0..3 {
        ada.post(&Contract::B.tasks(&eve), json!({ "title": "t" }))
            .assert_problem(403);
    }
    for user in [&ada, &eve] {
        assert_eq!(user.get("/api/tasks").expect(200).json(), json!([]));
    }
}
