//! The limit of 64 KiB for request bodies.

use rstest::rstest;
use serde_json::json;

use crate::support::raw::{self, Connection, chunked};
use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Response, Sqlite, TestApp};

const LIMIT: usize = 64 << 10;
const JSON: &str = "Content-Type: application/json";

/// Returns a JSON object of exactly `size` bytes that is valid except for its size.
fn object(title: &str, size: usize) -> Vec<u8> {
    let start = format!(r#"{{"title":"{title}","completed":true,"padding":""#);
    let padding = "p".repeat(size - start.len() - 2);
    format!("{start}{padding}\"}}").into_bytes()
}

fn send(app: &TestApp, token: &str, line: &str, body: &[u8], in_chunks: bool) -> Response {
    let request = if in_chunks {
        let headers = [JSON, "Transfer-Encoding: chunked"];
        raw::request(app, line, token, &headers, &chunked(body))
    } else {
        let length = format!("Content-Length: {}", body.len());
        raw::request(app, line, token, &[JSON, &length], body)
    };
    let answer = Connection::open(app).send(request).read();
    answer.unwrap_or_else(|| panic!("{line}: no response to a body of {} bytes", body.len()))
}

#[rstest]
fn a_body_of_100_kilobytes_is_413_with_and_without_a_length(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for line in [
            format!("POST {}", contract.tasks(&ada)),
            format!("PUT {}", contract.task(&ada, id(&task))),
            format!("PATCH {}", contract.complete(&ada, id(&task))),
        ] {
            for in_chunks in [false, true] {
                let body = object("large", 100 << 10);
                send(&app, &token, &line, &body, in_chunks).assert_problem(413);
            }
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn the_limit_is_exactly_64_kib(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    for contract in CONTRACTS {
        let line = format!("POST {}", contract.tasks(&ada));
        for in_chunks in [false, true] {
            let answer = send(&app, &token, &line, &object("fits", LIMIT), in_chunks);
            assert_eq!(answer.status, 201, "{answer}");
            let answer = send(&app, &token, &line, &object("too large", LIMIT + 1), in_chunks);
            answer.assert_problem(413);
        }
    }
}

#[rstest]
fn a_large_content_length_is_refused_before_the_body_arrives(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    for contract in CONTRACTS {
        for length in ["65537", "10000000000", "18446744073709551615"] {
            let line = format!("POST {}", contract.tasks(&ada));
            let length = format!("Content-Length: {length}");
            let request = raw::request(&app, &line, &token, &[JSON, &length], b"{");
            let answer = Connection::open(&app)
                .send(request)
                .read()
                .expect("the service should answer");
            answer.assert_problem(413);
        }
    }
}

#[rstest]
fn without_a_token_a_large_body_is_401(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let line = format!("POST {}", contract.tasks(&ada));
        for in_chunks in [false, true] {
            let answer = send(&app, "", &line, &object("large", 100 << 10), in_chunks);
            answer.assert_unauthorized();
        }
    }
}

#[rstest]
fn the_next_request_after_a_large_body_is_answered(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    let line = format!("POST {}", CONTRACTS[0].tasks(&ada));
    for _ in 0..20 {
        send(&app, &token, &line, &object("large", 300 << 10), false).assert_problem(413);
    }
    ada.get("/api/tasks").expect(200);
}
