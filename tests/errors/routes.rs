//! Paths that match no route.

use rstest::rstest;

use crate::support::{Contract, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn an_unknown_route_outside_the_api_is_404(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for path in [
        "/nowhere",
        "/ap",
        "/apis/tasks",
        "/tasks",
        "/livez/x",
        "/%00",
        "/%ff",
    ] {
        app.anonymous().get(path).assert_problem(404);
        ada.get(path).assert_problem(404);
    }
    app.anonymous().body("POST", "/nowhere", b"{").assert_problem(404);
}

#[rstest]
fn an_unknown_route_of_the_api_is_404_only_with_a_token(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for path in [
        "/api/unknown",
        "/api/",
        "/api/tasks/1/unknown",
        "/api/tasks/1/complete/x",
        "/api/ada/tasks/",
        "/api/ada/tasks/1/unknown",
        "/api/ada/tasks/1/complete/x",
        "/api/a/b/c/d/e",
        "/api/%00",
        "/api//",
    ] {
        for method in ["GET", "POST", "DELETE", "PATCH"] {
            let answer = app.anonymous().request(method, path, &[], b"");
            answer.assert_unauthorized();
            let answer = ada.request(method, path, &[], b"");
            answer.assert_problem(404);
        }
    }
}

#[rstest]
fn a_trailing_slash_is_another_route(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    // The service may serve the list or answer with 404, but must not redirect: a redirect would lose the
    // body of a POST.
    let answer = ada.get("/api/tasks/");
    if answer.status != 200 {
        answer.assert_problem(404);
    }
    let answer = ada.get(&format!("{}/", Contract::B.tasks(&ada)));
    if answer.status != 200 {
        answer.assert_problem(404);
    }
}

#[rstest]
fn path_traversal_does_not_reach_other_users_tasks(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    eve.has_task("Eve's");
    for path in [
        format!("/api/{}/../{}/tasks", ada.id, eve.id),
        format!("/api/{}/..%2f{}/tasks", ada.id, eve.id),
        format!("/api/{}%2f..%2f{}/tasks", ada.id, eve.id),
        format!("/api//{}/tasks", eve.id),
    ] {
        let answer = ada.get(&path);
        assert!(matches!(answer.status, 400 | 403 | 404), "{answer}");
        answer.assert_problem(answer.status);
    }
}

#[rstest]
fn an_invalid_query_is_ignored_where_none_is_read(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    app.anonymous().get("/livez?x=%ff&&=").expect(200);
    app.anonymous().get("/nowhere?x=%ff").assert_problem(404);
}
