//! The id of a request is in the response, in the problem document and in every log line of the request.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::{is_access, lines_until_access, start_quietly};
use crate::support::raw::{self, Connection};
use crate::support::{CONTRACTS, Database, Postgres, Response, Sqlite, TestApp};

fn with_json_log(database: crate::support::Database) -> TestApp {
    start_quietly(TestApp::builder(database).env("LOG_FORMAT", "json"))
}

/// Calls `call`, which sends a request, and checks that all lines logged up to its access line contain the id
/// of the response.
#[track_caller]
fn lines_of(app: &TestApp, call: impl FnOnce() -> Response) -> (Response, Vec<Value>) {
    let start = app.log().len();
    let answer = call();
    let lines = lines_until_access(app, start, answer.request_id());
    for line in &lines {
        assert_eq!(line["request_id"], answer.request_id(), "{line}");
    }
    assert_eq!(
        lines.iter().filter(|line| is_access(line)).count(),
        1,
        "{lines:?}"
    );
    (answer, lines)
}

#[rstest]
fn every_line_of_a_request_has_the_id_of_its_answer(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        lines_of(&app, || ada.get(&path).expect(200));
        lines_of(&app, || ada.post(&path, json!({ "title": "t" })).expect(201));
        lines_of(&app, || ada.post(&path, json!({ "title": 5 })));
        lines_of(&app, || ada.get(&contract.task(&ada, "abc")).expect(404));
        lines_of(&app, || ada.request("TRACE", &path, &[], b""));
        // The reason why a token was refused is in a line of its own.
        let (answer, lines) = lines_of(&app, || ada.with_token("a.b.c").get(&path));
        answer.assert_unauthorized();
        assert!(lines.len() >= 2, "{lines:?}");
    }
    lines_of(&app, || app.anonymous().get("/livez"));
    lines_of(&app, || app.anonymous().get("/readyz"));
    lines_of(&app, || app.anonymous().get("/nowhere"));
    let preflight = [
        ("origin", "http://evil.example"),
        ("access-control-request-method", "PUT"),
    ];
    lines_of(&app, || {
        app.anonymous().request("OPTIONS", "/api/tasks", &preflight, b"")
    });
}

#[rstest]
fn an_internal_cause_is_logged_once_with_the_request_id_and_never_sent(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let app = with_json_log(db);
    let ada = app.user("ada");
    lines_of(&app, || ada.get("/api/tasks").expect(200));
    app.execute("ALTER TABLE tasks RENAME TO elsewhere");
    for contract in CONTRACTS {
        let (answer, lines) = lines_of(&app, || ada.get(&contract.tasks(&ada)));
        // The service cannot know whether a retry would help, so any 5xx status is correct.
        assert!(answer.status >= 500);
        answer.assert_problem(answer.status);
        assert!(
            !answer.text().contains("elsewhere") && !answer.text().contains("relation"),
            "{answer}"
        );
        let causes: Vec<_> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR" || line["level"] == "WARN")
            .collect();
        assert_eq!(causes.len(), 1, "{lines:?}");
        let message = causes[0]["message"].as_str().unwrap();
        assert!(
            message.contains("tasks"),
            "the message should name the table: {message}"
        );
    }
}

#[rstest]
fn every_answer_has_a_request_id_of_its_own(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        for path in ["/api/tasks", "/api/tasks/abc", "/nowhere", "/livez"] {
            let answer = ada.get(path);
            assert!(seen.insert(answer.request_id().to_owned()), "{answer}");
        }
    }
}

#[rstest]
fn the_clients_id_is_used_everywhere(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db);
    let ada = app.user("ada");
    let longest = "x".repeat(64);
    for id in [
        "4f2c6a52-5d8f-4d9b-9d0f-6a2f9f1f0c3e",
        "01JDKZ3T4N5P6Q7R8S9TABCDEF",
        "client_7.part-3",
        "a",
        &longest,
    ] {
        let headers = [("x-request-id", id)];
        for (caller, path, status) in [
            (&ada, "/api/tasks", 200),
            (&ada, "/api/tasks/abc", 404),
            (&ada, "/nowhere", 404),
            (&ada, "/livez", 200),
            (&app.anonymous(), "/api/tasks", 401),
        ] {
            let (answer, _) = lines_of(&app, || caller.request("GET", path, &headers, b""));
            assert_eq!(answer.status, status);
            assert_eq!(answer.request_id(), id);
            if status >= 400 {
                assert_eq!(answer.assert_problem(status)["request_id"], id);
            }
        }
    }
}

#[rstest]
fn a_malformed_id_is_replaced_everywhere(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = with_json_log(db);
    let token = app.user("ada").token.unwrap();
    let too_long = "x".repeat(300);
    let ids: [&[u8]; 12] = [
        b"",
        b"a;b\\c{}",
        b"one\r\nX-Request-Id: two",
        b"a b",
        b"a\tb",
        b"\"a\"",
        b"'a'",
        b"{\"a\":1}",
        b"a\x80",
        "schlüssel".as_bytes(),
        b"<script>",
        too_long.as_bytes(),
    ];
    for id in ids {
        for (path, status) in [("/api/tasks", 200), ("/api/tasks/abc", 404)] {
            let mut request = raw::request(&app, &format!("GET {path}"), &token, &[], b"");
            request.truncate(request.len() - 2);
            request.extend(b"X-Request-Id: ");
            request.extend(id);
            request.extend(b"\r\n\r\n");
            let call = || {
                Connection::open(&app)
                    .send(&request)
                    .read()
                    .expect("the service should answer")
            };
            let (answer, _) = lines_of(&app, call);
            assert_eq!(answer.status, status, "{answer}");
            assert!(!answer.request_id().is_empty());
            assert_ne!(answer.request_id().as_bytes(), id);
            assert!(
                !answer.text().contains("script") && !answer.text().contains("xxxx"),
                "{answer}"
            );
            if status == 404 {
                answer.assert_problem(404);
            }
        }
    }
}

#[rstest]
fn an_id_with_a_control_character_never_appears_in_a_response_or_the_log(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let app = with_json_log(db);
    for bytes in [
        &b"a\x01marker"[..],
        b"a\x1b[31mmarker",
        b"a\x7fmarker",
        b"a\x00marker",
    ] {
        let mut request = raw::request(&app, "GET /livez", "", &[], b"");
        request.truncate(request.len() - 2);
        request.extend(b"X-Request-Id: ");
        request.extend(bytes);
        request.extend(b"\r\n\r\n");
        let answer = Connection::open(&app)
            .send(&request)
            .read()
            .expect("the service should answer");
        // Either the HTTP parser refuses the request with a bare 400, or the service replaces the id.
        match answer.status {
            400 => assert_eq!(answer.header("x-request-id"), None, "{answer}"),
            status => {
                assert_eq!(status, 200, "{answer}");
                assert!(!answer.request_id().contains("marker"), "{answer}");
            }
        }
    }
    assert!(!app.log().contains("marker"), "{}", app.log());
}
