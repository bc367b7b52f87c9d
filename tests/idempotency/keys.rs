//! The format of keys, their scope, and the payload that they are bound to.

use rstest::rstest;
use serde_json::json;

use super::{assert_same, number_of_tasks, post, post_bytes};
use crate::support::raw::{self, Connection};
use crate::support::{CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn another_payload_under_a_key_is_422_on_both_contracts(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        let body = json!({ "title": "t", "description": "d", "due_date": "2026-05-01" });
        let first = post(&ada, &path, "key", &body).expect(201);
        for (member, value) in [
            ("title", json!("T")),
            ("title", json!("t ")),
            ("description", json!("e")),
            ("description", json!("")),
            ("due_date", json!("2026-05-02")),
            ("due_date", json!("2026-05-01T00:00:00.000001Z")),
            ("completed", json!(true)),
        ] {
            let mut other = body.clone();
            other[member] = value;
            let answer = post(&ada, &path, "key", &other);
            let problem = answer.assert_problem(422);
            let kind = problem["type"].as_str().unwrap().to_lowercase();
            assert!(
                kind.contains("idempotency"),
                "`type` should mention idempotency: {kind}"
            );
            assert_eq!(answer.header("location"), None, "{answer}");
        }
        assert_same(&post(&ada, &path, "key", &body), &first);
        assert_eq!(number_of_tasks(&ada), 1);
    }
}

#[rstest]
fn text_moved_from_one_field_to_the_next_is_another_payload(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    post(
        &ada,
        "/api/tasks",
        "key",
        &json!({ "title": "ab", "description": "c" }),
    )
    .expect(201);
    let moved = json!({ "title": "a", "description": "bc" });
    post(&ada, "/api/tasks", "key", &moved).assert_problem(422);
}

#[rstest]
fn keys_are_scoped_to_their_user(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let bob = app.user(&format!("bob{contract:?}"));
        let hers = post(&ada, &contract.tasks(&ada), "key", &json!({ "title": "hers" })).expect(201);
        let his = post(&bob, &contract.tasks(&bob), "key", &json!({ "title": "his" })).expect(201);
        let same = post(&bob, &contract.tasks(&bob), "k", &json!({ "title": "hers" })).expect(201);
        assert_eq!(same.json()["user_id"], bob.id);
        assert_eq!(hers.json()["user_id"], ada.id);
        assert_same(
            &post(&bob, &contract.tasks(&bob), "key", &json!({ "title": "his" })),
            &his,
        );
        assert_eq!((number_of_tasks(&ada), number_of_tasks(&bob)), (1, 2));
    }
}

#[rstest]
fn one_user_has_one_set_of_keys_for_both_contracts(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let body = json!({ "title": "t" });
    let first = post(&ada, &Contract::A.tasks(&ada), "key", &body).expect(201);
    let again = post(&ada, &Contract::B.tasks(&ada), "key", &body).expect(201);
    assert_eq!(again.text(), first.text());
    assert_eq!(number_of_tasks(&ada), 1);
}

#[rstest]
fn different_keys_are_different_tasks(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let longest = "k".repeat(255);
    let keys = [
        "a",
        "A",
        "a b",
        "4f2c6a52-5d8f-4d9b-9d0f-6a2f9f1f0c3e",
        "\"quoted\"",
        "'; DROP TABLE tasks; --",
        "~!@#$%^&*()[]{}\\|<>?/,.;:",
        longest.as_str(),
    ];
    for (number, key) in keys.iter().enumerate() {
        let first = post(&ada, "/api/tasks", key, &json!({ "title": "t" })).expect(201);
        assert_same(&post(&ada, "/api/tasks", key, &json!({ "title": "t" })), &first);
        assert_eq!(number_of_tasks(&ada), number + 1);
    }
}

#[rstest]
fn without_a_key_every_post_creates_a_task(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for _ in 0..3 {
        ada.has_task("same");
    }
    assert_eq!(number_of_tasks(&ada), 3);
}

#[rstest]
fn an_invalid_key_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let too_long = "k".repeat(256);
    let far_too_long = "k".repeat(4_000);
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for key in ["", " ", "a\tb", &too_long, &far_too_long] {
            let answer = post(&ada, &path, key, &json!({ "title": "t" }));
            answer.assert_bad_fields(contract, &["Idempotency-Key"]);
        }
        let twice = [
            ("idempotency-key", "one"),
            ("idempotency-key", "one"),
            ("content-type", "application/json"),
        ];
        let answer = ada.request("POST", &path, &twice, br#"{"title": "t"}"#);
        answer.assert_bad_fields(contract, &["Idempotency-Key"]);
    }
    assert_eq!(number_of_tasks(&ada), 0);
}

#[rstest]
fn a_key_of_other_bytes_than_printable_ascii_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    let host = app.base_url().trim_start_matches("http://").to_owned();
    for contract in CONTRACTS {
        for key in [
            "schlüssel".as_bytes(),
            "ключ".as_bytes(),
            b"\xff\xfe",
            b"a\x80b",
            b"a\x01b",
            b"a\x1bb",
            b"a\x7fb",
            b"a\x00b",
        ] {
            let mut request = format!(
                "POST {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: 14\r\nIdempotency-Key: ",
                contract.tasks(&ada)
            )
            .into_bytes();
            request.extend(key);
            request.extend(b"\r\n\r\n{\"title\": \"t\"}");
            let answer = Connection::open(&app)
                .send(request)
                .read()
                .expect("the service should answer");
            // The HTTP parser may refuse control characters with an empty 400, because they are not valid in
            // a header.
            let not_http = key.iter().any(u8::is_ascii_control);
            if not_http && answer.status == 400 {
                assert_eq!(answer.body, b"", "{answer}");
            } else {
                answer.assert_bad_fields(contract, &["Idempotency-Key"]);
            }
        }
    }
    assert_eq!(number_of_tasks(&ada), 0);
}

#[rstest]
fn a_bad_key_is_reported_together_with_errors_of_the_body(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let long = "x".repeat(300);
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        let body = json!({ "title": "", "completed": 5 });
        let answer = post(&ada, &path, &long, &body);
        answer.assert_bad_fields(contract, &["Idempotency-Key", "title", "completed"]);
        // An unsupported media type concerns no single field, so only this error is reported.
        let headers = [("idempotency-key", ""), ("content-type", "text/plain")];
        ada.request("POST", &path, &headers, b"{}").assert_problem(415);
    }
    assert_eq!(number_of_tasks(&ada), 0);
}

#[rstest]
fn a_bad_body_does_not_use_up_its_key(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        for bad in [r#"{"title": ""}"#, r#"{"title": 5}"#, "{", "[]", "{}"] {
            post_bytes(&ada, &path, "key", bad.as_bytes()).assert_bad_input(contract);
        }
        let first = post(&ada, &path, "key", &json!({ "title": "good" })).expect(201);
        post_bytes(&ada, &path, "key", br#"{"title": ""}"#).assert_bad_input(contract);
        assert_same(&post(&ada, &path, "key", &json!({ "title": "good" })), &first);
        assert_eq!(number_of_tasks(&ada), 1);
    }
}

#[rstest]
fn a_call_that_is_refused_does_not_use_up_a_key(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    let path = Contract::B.tasks(&ada);
    let body = json!({ "title": "t" });
    post(&app.anonymous(), &path, "key", &body).assert_unauthorized();
    post(&eve, &path, "key", &body).assert_problem(403);
    let headers = [("idempotency-key", "key"), ("content-type", "text/plain")];
    ada.request("POST", &path, &headers, b"t").assert_problem(415);
    post(&ada, &path, "key", &json!({ "title": "another" })).expect(201);
    assert_eq!(number_of_tasks(&eve), 0);
}

#[rstest]
fn the_header_name_is_case_insensitive(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    for name in ["idempotency-key", "Idempotency-Key", "IDEMPOTENCY-KEY"] {
        let key = format!("{name}: key");
        let headers = [&*key, "Content-Type: application/json", "Content-Length: 14"];
        let request = raw::request(&app, "POST /api/tasks", &token, &headers, br#"{"title": "t"}"#);
        Connection::open(&app).send(request).read().unwrap().expect(201);
    }
    assert_eq!(number_of_tasks(&ada), 1);
}
