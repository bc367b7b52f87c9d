//! The service supports no protocol upgrade and ignores the `Upgrade` header.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::support::raw::{self, Connection, chunked};
use crate::support::task::id;
use crate::support::{Database, Postgres, Sqlite, TestApp};

const UPGRADE: [&str; 2] = ["Connection: Upgrade", "Upgrade: websocket"];
const JSON: &str = "Content-Type: application/json";

#[rstest]
fn a_request_that_asks_for_a_websocket_is_answered_at_once(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    let task = id(&ada.has_task("Buy milk"));
    let body = br#"{"title":"Buy oat milk"}"#;
    let length = format!("Content-Length: {}", body.len());
    let complete = format!("PATCH /api/tasks/{task}/complete");
    let cases: [(&str, &[&str], Vec<u8>, u16); 6] = [
        ("POST /api/tasks", &[JSON, &length], body.to_vec(), 201),
        (
            "POST /api/tasks",
            &[JSON, "Transfer-Encoding: chunked"],
            chunked(body),
            201,
        ),
        ("POST /api/tasks", &[JSON], Vec::new(), 400),
        ("POST /api/tasks", &[JSON], body.to_vec(), 400),
        (&complete, &[], Vec::new(), 200),
        ("GET /api/tasks", &[], Vec::new(), 200),
    ];
    for (line, headers, body, status) in cases {
        let headers = [&UPGRADE[..], headers].concat();
        let request = raw::request(&app, line, &token, &headers, &body);
        let started = Instant::now();
        let answer = Connection::open(&app)
            .send(request)
            .read()
            .expect("the service should answer");
        let took = started.elapsed();
        assert_eq!(answer.status, status, "{line} {headers:?}: {answer}");
        assert!(took < Duration::from_secs(5), "{line} {headers:?}: {took:?}");
        // By default, actix would repeat `Connection: upgrade`, although the service does not upgrade.
        assert_eq!(
            answer.header("connection"),
            Some("close"),
            "{line} {headers:?}: {answer}"
        );
    }
    let mut titles = ada.titles("/api/tasks");
    titles.sort();
    assert_eq!(titles, ["Buy milk", "Buy oat milk", "Buy oat milk"]);
}
