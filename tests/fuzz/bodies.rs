//! JSON bodies, idempotency keys, and media types.

use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::request::{Request, header_value};
use super::session::{Session, run_cases, start};
use super::text::{damaged, json, object_with};
use crate::support::task::{assert_is_task, id};
use crate::support::{Database, Postgres, Sqlite};

const FIELDS: [&str; 9] = [
    "title",
    "title",
    "description",
    "completed",
    "due_date",
    "id",
    "user_id",
    "created_at",
    "Title",
];

fn body() -> impl Strategy<Value = Vec<u8>> {
    let good = r#"{"title":"t\u00e9","description":null,"completed":false,"due_date":"2026-01-02T03:04:05.5+01:00"}"#;
    prop_oneof![
        4 => object_with(&FIELDS).prop_map(String::into_bytes),
        2 => json().prop_map(String::into_bytes),
        3 => damaged(Just(good.as_bytes().to_vec())),
        2 => damaged(object_with(&FIELDS).prop_map(String::into_bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (0..70_000_usize, select(vec!["[", "{\"a\":", " ", "9", "\"", "{\"title\":["]))
            .prop_map(|(length, part)| part.repeat(length / part.len()).into_bytes()),
    ]
}

fn media_type() -> impl Strategy<Value = Vec<u8>> {
    let usual = "Content-Type: application/json".as_bytes().to_vec();
    prop_oneof![
        8 => Just(usual),
        1 => header_value().prop_map(|value| [b"Content-Type: ", &value[..]].concat()),
        1 => header_value().prop_map(|value| [b"Content-Encoding: ", &value[..]].concat()),
        1 => "Content-Type: application/(json|[a-z.+]{0,9}\\+json); ?charset=[!-~]{0,8}"
            .prop_map(String::into_bytes),
    ]
}

fn idempotency_key() -> impl Strategy<Value = Option<Vec<u8>>> {
    let line = header_value().prop_map(|value| [b"Idempotency-Key: ", &value[..]].concat());
    prop::option::weighted(0.3, line)
}

#[rstest]
fn arbitrary_bodies_cause_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    let token = ada.token.clone().unwrap();
    let calls = vec![
        ("POST", "/api/tasks".to_owned()),
        ("POST", format!("/api/{}/tasks", ada.id)),
        ("PUT", format!("/api/tasks/{task}")),
        ("PUT", format!("/api/{}/tasks/{task}", ada.id)),
        ("PATCH", format!("/api/tasks/{task}/complete")),
    ];
    let inputs = (
        select(calls),
        body(),
        media_type(),
        idempotency_key(),
        any::<bool>(),
    );
    let requests = inputs.prop_map(|((method, target), body, media_type, key, in_chunks)| {
        let mut request = Request::new(method, target, &token).header(media_type);
        request.headers.extend(key);
        request.body = body;
        request.in_chunks = in_chunks;
        request
    });
    let mut session = Session::with(&app);
    run_cases(&app, requests, |request| {
        let answer = session.send(&request);
        if answer.status < 300 {
            assert_is_task(&answer.json());
        }
    });
}
