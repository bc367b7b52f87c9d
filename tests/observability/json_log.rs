//! `LOG_FORMAT=json`: each line is one JSON object, and the access line contains what an operator needs.

use rstest::rstest;
use serde_json::{Value, json};

use super::{is_access, lines_until_access, objects, start_quietly};
use crate::support::raw::Connection;
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

fn with_json_log(database: crate::support::Database, level: &str) -> TestApp {
    let builder = TestApp::builder(database).env("LOG_FORMAT", "json");
    start_quietly(builder.env("RUST_LOG", level))
}

/// Sends a request and returns its access line.
#[track_caller]
fn access_line(app: &TestApp, user: &Actor, method: &str, path: &str) -> Value {
    let start = app.log().len();
    let answer = user.request(method, path, &[], b"");
    let lines = lines_until_access(app, start, answer.request_id());
    let line = lines
        .into_iter()
        .find(|line| is_access(line) && line["request_id"] == answer.request_id());
    let line = line.unwrap();
    assert_eq!(line["status"], answer.status, "{line}");
    assert_eq!(line["method"], method, "{line}");
    line
}

#[rstest]
fn an_access_line_contains_user_route_status_and_duration(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db, "info");
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    for contract in CONTRACTS {
        let item = contract.task(&ada, task);
        for (method, path, status) in [
            ("GET", contract.tasks(&ada), 200),
            ("GET", format!("{}?status=pending", contract.tasks(&ada)), 200),
            ("HEAD", item.clone(), 200),
            ("GET", contract.task(&ada, "abc"), 404),
            ("PATCH", contract.complete(&ada, task), 200),
            ("POST", contract.tasks(&ada), 415),
            ("POST", item, 405),
        ] {
            let line = access_line(&app, &ada, method, &path);
            if status != 415 {
                assert_eq!(line["status"], status, "{line}");
            }
            assert_eq!(line["user_id"], ada.id, "{line}");
            let route = line["route"]
                .as_str()
                .expect("the access line should have a route");
            assert!(route.starts_with("/api/"), "{line}");
            assert!(
                !route.contains(&ada.id) && !route.contains("abc"),
                "the route should be a template: {line}"
            );
            assert!(
                !route.contains(&format!("/{task}")),
                "the route should be a template: {line}"
            );
            let (_, took) = line
                .as_object()
                .unwrap()
                .iter()
                .find(|(name, _)| name.starts_with("duration"))
                .expect("the access line should have a duration");
            assert!(took.as_f64().is_some_and(|took| took >= 0.0), "{line}");
        }
    }
}

#[rstest]
fn a_route_has_the_same_name_whatever_its_parameters(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db, "info");
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let routes = ["1", "2", "abc", "999999999999999999999999"]
            .map(|task| access_line(&app, &ada, "GET", &contract.task(&ada, task))["route"].clone());
        assert!(routes.iter().all(|route| *route == routes[0]), "{routes:?}");
        let list = access_line(&app, &ada, "GET", &contract.tasks(&ada))["route"].clone();
        assert_ne!(list, routes[0]);
    }
}

#[rstest]
fn the_user_id_is_logged_only_where_it_is_known(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db, "info");
    let ada = app.user("ada");
    let eve = app.user("eve");
    let known = access_line(&app, &eve, "GET", &Contract::B.tasks(&ada));
    assert_eq!(
        (&known["status"], &known["user_id"]),
        (&json!(403), &json!(eve.id))
    );
    for (user, path) in [
        (app.anonymous(), "/api/tasks"),
        (ada.with_token("a.b.c"), "/api/tasks"),
        (app.anonymous(), "/livez"),
        (app.anonymous(), "/nowhere"),
    ] {
        let line = access_line(&app, &user, "GET", path);
        assert!(line["user_id"].is_null(), "{line}");
    }
}

#[rstest]
fn a_refused_token_is_logged_with_the_reason_used_in_metrics(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db, "info");
    let ada = app.user("ada");
    let mut expired = ada.claims();
    expired["exp"] = json!(1);
    for (user, reason) in [
        (app.anonymous(), "missing"),
        (ada.with_token("garbage"), "opaque"),
        (ada.signed(&expired), "expired"),
    ] {
        let start = app.log().len();
        let answer = user.get("/api/tasks").expect(401);
        let lines = lines_until_access(&app, start, answer.request_id());
        let said = lines.iter().find(|line| line["reason"] == reason);
        let said = said.unwrap_or_else(|| panic!("no line has the reason {reason}: {lines:?}"));
        assert_eq!(said["request_id"], answer.request_id(), "{said}");
    }
}

#[rstest]
fn every_line_of_both_streams_is_one_json_object(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = with_json_log(db, "debug");
    let ada = app.user("ada");
    for contract in CONTRACTS {
        ada.post(
            &contract.tasks(&ada),
            json!({ "title": "\"quoted\"\n\r\t\u{2028}" }),
        )
        .expect(201);
        ada.post(&contract.tasks(&ada), json!({ "title": 5 }));
        ada.body("POST", &contract.tasks(&ada), b"{\"broken\n");
        ada.get(&format!("{}?sort=%0A%22", contract.tasks(&ada)));
        ada.get(&contract.task(&ada, "%0A%22%7B"));
    }
    ada.with_token("\u{7f}").try_get("/api/tasks");
    ada.with_token("a\"b{c").get("/api/tasks").expect(401);
    for garbage in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\"\n{\n\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
    ] {
        Connection::open(&app).send(garbage).read();
    }
    let headers = [
        ("user-agent", "\"}\\"),
        ("referer", "{\"a\":"),
        ("origin", "\"null\""),
    ];
    ada.request("GET", "/api/tasks", &headers, b"");
    app.execute("ALTER TABLE tasks RENAME TO elsewhere");
    assert!(ada.get("/api/tasks").status >= 500);
    assert!(app.stop());
    let said = app.output();
    let lines = [objects(&said.stdout), objects(&said.stderr)].concat();
    assert!(lines.len() > 15, "{lines:?}");
    for line in &lines {
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
        assert!(
            line["time"].is_string() || line["timestamp"].is_string(),
            "{line}"
        );
    }
}
