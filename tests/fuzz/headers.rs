//! Unusual values of headers that the service or its libraries read.

use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::request::{Request, header_value};
use super::session::{Session, run_cases, start};
use crate::support::task::id;
use crate::support::{Database, Postgres, Sqlite};

const NAMES: [&str; 18] = [
    "Authorization",
    "X-Request-Id",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Origin",
    "Accept",
    "Accept-Encoding",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Content-Type",
    "Content-Encoding",
    "Range",
    "Cookie",
    "Forwarded",
    "X-Forwarded-For",
    "If-Modified-Since",
    "Date",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let tag = "(W/)?\"?[0-9a-zA-Z-]{0,22}\"?";
    prop_oneof![
        2 => header_value(),
        1 => prop::collection::vec(tag, 0..40).prop_map(|tags| tags.join(", ").into_bytes()),
        1 => select(vec!["*", "\"1\"", "W/\"1\"", "http://localhost:3000", "null", "PUT", "Bearer", "Bearer  ", "gzip"])
            .prop_map(|value| value.as_bytes().to_vec()),
    ]
}

#[rstest]
fn arbitrary_headers_cause_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let ada = app.user("ada");
    let task = format!("/api/tasks/{}", id(&ada.has_task("t")));
    let token = ada.token.clone().unwrap();
    let calls = vec![
        ("GET", task.clone()),
        ("GET", "/api/tasks?limit=1".to_owned()),
        ("HEAD", "/api/tasks?limit=1".to_owned()),
        ("PUT", task.clone()),
        ("PATCH", format!("{task}/complete")),
        ("DELETE", "/api/tasks/0".to_owned()),
        ("OPTIONS", task),
        ("POST", "/api/tasks".to_owned()),
        ("GET", "/docs".to_owned()),
        ("GET", "/readyz".to_owned()),
    ];
    let lines = prop::collection::vec((select(&NAMES[..]), value()), 0..4);
    let requests = (select(calls), lines).prop_map(|((method, target), lines)| {
        let mut request = Request::new(method, target, &token);
        if matches!(method, "PUT" | "POST") {
            request = request.json(br#"{"title":"t"}"#.to_vec());
        }
        for (name, value) in lines {
            request = request.header([name.as_bytes(), b": ", &value].concat());
        }
        request
    });
    let mut session = Session::with(&app);
    run_cases(&app, requests, |request| drop(session.send(&request)));
}
