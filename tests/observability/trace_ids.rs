//! W3C `traceparent`: every log line of a request contains its trace id.

use rstest::rstest;
use serde_json::{Value, json};

use super::{is_access, lines_until_access, start_quietly};
use crate::support::{Actor, Database, Postgres, Sqlite, TestApp};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[track_caller]
fn lines_of(app: &TestApp, user: &Actor, headers: &[(&str, &str)], status: u16) -> Vec<Value> {
    let start = app.log().len();
    let answer = user.request("GET", "/api/tasks", headers, b"");
    assert_eq!(answer.status, status, "{answer}");
    let lines = lines_until_access(app, start, answer.request_id());
    assert_eq!(lines.iter().filter(|line| is_access(line)).count(), 1);
    lines
}

#[rstest]
fn every_line_of_a_request_has_its_trace_id(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db).env("LOG_FORMAT", "json"));
    let ada = app.user("ada");
    let traced = [("traceparent", TRACEPARENT), ("tracestate", "vendor=1")];
    for (user, status, least) in [
        (&ada, 200, 1),
        (&app.anonymous(), 401, 2),
        (&ada.with_token("a.b.c"), 401, 2),
    ] {
        let lines = lines_of(&app, user, &traced, status);
        assert!(lines.len() >= least, "{lines:?}");
        for line in &lines {
            assert_eq!(line["trace_id"], TRACE, "{line}");
        }
    }
    // The line about the database error contains the trace id as well.
    app.execute("ALTER TABLE tasks RENAME TO elsewhere");
    let start = app.log().len();
    let answer = ada.request("GET", "/api/tasks", &traced, b"");
    assert!(answer.status >= 500);
    let lines = lines_until_access(&app, start, answer.request_id());
    assert!(lines.len() >= 2, "{lines:?}");
    for line in &lines {
        assert_eq!(line["trace_id"], TRACE, "{line}");
    }
}

#[rstest]
fn the_text_log_contains_the_trace_id_too(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db));
    let start = app.log().len();
    let traced = [("traceparent", TRACEPARENT), ("x-request-id", "traced-request")];
    app.user("ada")
        .request("GET", "/api/tasks", &traced, b"")
        .expect(200);
    app.anonymous().get("/livez").expect(200);
    let line = || {
        let log = app.log();
        let line = log[start..]
            .lines()
            .find(|line| line.contains("[traced-request]"));
        line.map(str::to_owned)
    };
    let line = crate::support::wait::until(std::time::Duration::from_secs(5), line);
    let line = line.expect("the request should have an access line");
    assert!(line.contains(&format!(" trace_id={TRACE}")), "{line}");
    assert_eq!(app.log().matches("trace_id").count(), 1, "{}", app.log());
}

#[rstest]
fn later_versions_and_leading_zeros_are_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db).env("LOG_FORMAT", "json"));
    let ada = app.user("ada");
    for (traceparent, trace) in [
        (TRACEPARENT.replace("-01", "-ff"), TRACE),
        (TRACEPARENT.replacen("00-", "cc-", 1), TRACE),
        (
            TRACEPARENT.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like",
            TRACE,
        ),
        (
            "00-00000000000000000000000000000001-0000000000000001-00".into(),
            "00000000000000000000000000000001",
        ),
    ] {
        for line in lines_of(&app, &ada, &[("traceparent", &traceparent)], 200) {
            assert_eq!(line["trace_id"], trace, "{traceparent}");
        }
    }
}

#[rstest]
fn a_malformed_traceparent_is_ignored(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db).env("LOG_FORMAT", "json"));
    let ada = app.user("ada");
    let upper = TRACEPARENT.to_uppercase();
    let more = format!("{TRACEPARENT}-more");
    for malformed in [
        "",
        "garbage",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333x-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        &upper,
        &more,
    ] {
        for line in lines_of(&app, &ada, &[("traceparent", malformed)], 200) {
            assert_eq!(line.get("trace_id"), None, "{malformed:?}: {line}");
        }
    }
    let twice = [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)];
    for line in lines_of(&app, &ada, &twice, 200) {
        assert_eq!(line.get("trace_id"), None, "{line}");
    }
    ada.post("/api/tasks", json!({ "title": "t" })).expect(201);
}
