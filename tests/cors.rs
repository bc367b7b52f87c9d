//! The CORS headers for the frontend and for further configured origins. Without these headers, a browser
//! hides every response from the frontend.

use std::sync::LazyLock;

use rstest::rstest;
use serde_json::json;

use crate::support::deployment::frontend;
use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Response, Sqlite, TestApp};

static FRONTEND: LazyLock<String> = LazyLock::new(frontend);
const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
fn assert_allows(answer: &Response, origin: &str) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(origin),
        "{answer}"
    );
    // A cache must not serve the response for one origin to another.
    assert!(
        answer.list_header("vary").contains(&"origin".to_owned()),
        "{answer}"
    );
}

#[track_caller]
fn assert_no_cors_headers(answer: &Response) {
    for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
        assert_eq!(answer.header(name), None, "{answer}");
    }
}

fn preflight(app: &TestApp, path: &str, origin: &str, method: &str, headers: &str) -> Response {
    let mut request = vec![("origin", origin), ("access-control-request-method", method)];
    if !headers.is_empty() {
        request.push(("access-control-request-headers", headers));
    }
    app.anonymous().request("OPTIONS", path, &request, b"")
}

#[rstest]
fn every_response_has_cors_headers_for_the_frontend(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    let origin = ("origin", FRONTEND.as_str());
    for contract in CONTRACTS {
        let tasks = contract.tasks(&ada);
        let item = contract.task(&ada, task);
        let ask = |method: &str, path: &str, body: &str, status: u16| {
            let answer = ada.request(method, path, &[origin, JSON], body.as_bytes());
            assert_eq!(answer.status, status, "{answer}");
            assert_allows(&answer, FRONTEND.as_str());
        };
        ask("GET", &tasks, "", 200);
        ask("HEAD", &tasks, "", 200);
        ask("POST", &tasks, r#"{"title":"t"}"#, 201);
        ask("GET", &item, "", 200);
        ask("PUT", &item, "{}", 200);
        ask("PATCH", &contract.complete(&ada, task), "", 200);
        ask("GET", &contract.task(&ada, "abc"), "", 404);
        ask("GET", "/api/unknown", "", 404);
        ask("GET", "/nowhere", "", 404);
        ask("DELETE", &tasks, "", 405);
        ask("POST", &tasks, "{", contract.bad_input());
        ask("GET", &format!("{tasks}?sort=x"), "", contract.bad_input());
        let text = ada.request("POST", &tasks, &[origin, ("content-type", "text/plain")], b"x");
        text.assert_problem(415);
        assert_allows(&text, FRONTEND.as_str());
        let refused = app.anonymous().request("GET", &tasks, &[origin], b"");
        refused.assert_unauthorized();
        assert_allows(&refused, FRONTEND.as_str());
        let deleted = id(&ada.has_task("gone"));
        ask("DELETE", &contract.task(&ada, deleted), "", 204);
    }
    let bob = app.user("bob");
    let forbidden = ada.request("GET", &CONTRACTS[1].tasks(&bob), &[origin], b"");
    forbidden.assert_problem(403);
    assert_allows(&forbidden, FRONTEND.as_str());
}

#[rstest]
fn a_413_has_cors_headers(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let token = app.user("ada").token.unwrap();
    let body = vec![b' '; 100 << 10];
    let length = format!("Content-Length: {}", body.len());
    let origin = format!("Origin: {}", *FRONTEND);
    let headers = ["Content-Type: application/json", &length, &origin];
    let request = raw::request(&app, "POST /api/tasks", &token, &headers, &body);
    let answer = Connection::open(&app)
        .send(request)
        .read()
        .expect("the service should answer");
    answer.assert_problem(413);
    assert_allows(&answer, FRONTEND.as_str());
}

#[rstest]
fn other_origins_get_no_cors_headers(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for origin in [
        "http://evil.example",
        "http://localhost:3001",
        "https://localhost:3000",
        "http://localhost",
        "http://localhost:3000.evil.example",
        "http://LOCALHOST.evil:3000",
        "http://sub.localhost:3000",
        "null",
        "*",
    ] {
        let headers = [("origin", origin)];
        for path in ["/api/tasks", "/api/tasks/abc", "/nowhere"] {
            assert_no_cors_headers(&ada.request("GET", path, &headers, b""));
            assert_no_cors_headers(&app.anonymous().request("GET", path, &headers, b""));
        }
        assert_no_cors_headers(&preflight(&app, "/api/tasks", origin, "POST", "authorization"));
    }
}

#[rstest]
fn a_request_without_an_origin_is_answered(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let answer = app.user("ada").get("/api/tasks").expect(200);
    assert_no_cors_headers(&answer);
}

#[rstest]
fn a_preflight_passes_without_a_token(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for (path, methods) in [
            (contract.tasks(&ada), &["GET", "POST", "HEAD"][..]),
            (contract.task(&ada, 1), &["GET", "PUT", "DELETE"]),
            (contract.complete(&ada, 1), &["PATCH"]),
        ] {
            for method in methods {
                for headers in [
                    "",
                    "authorization",
                    "authorization,content-type",
                    "authorization, content-type, if-match, if-none-match, idempotency-key, x-request-id, \
                     traceparent, tracestate",
                ] {
                    let answer = preflight(&app, &path, FRONTEND.as_str(), method, headers);
                    assert!(matches!(answer.status, 200 | 204), "{method} {headers}: {answer}");
                    assert_allows(&answer, FRONTEND.as_str());
                    let allowed = answer.list_header("access-control-allow-methods");
                    assert!(allowed.contains(&method.to_ascii_lowercase()), "{answer}");
                    let allowed = answer.list_header("access-control-allow-headers");
                    for header in headers.split(',').map(str::trim).filter(|h| !h.is_empty()) {
                        assert!(allowed.contains(&header.to_owned()), "{header}: {answer}");
                    }
                }
            }
        }
    }
}

#[rstest]
fn a_failed_preflight_is_a_problem(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for (origin, method, headers, wrong) in [
        ("http://evil.example", "POST", "authorization", "Origin"),
        ("http://evil.example", "BREW", "x-nobody-asked-for-this", "Origin"),
        (FRONTEND.as_str(), "BREW", "authorization", "method"),
        (FRONTEND.as_str(), "POST", "x-nobody-asked-for-this", "headers"),
    ] {
        let answer = preflight(&app, "/api/tasks", origin, method, headers);
        let problem = answer.assert_problem(400);
        let detail = problem["detail"].as_str().unwrap();
        let what = detail.split(':').next().unwrap();
        assert!(what.contains(wrong) && what.contains("not allowed"), "{detail}");
        match origin == FRONTEND.as_str() {
            true => assert_allows(&answer, origin),
            false => assert_no_cors_headers(&answer),
        }
    }
}

#[rstest]
fn headers_that_a_frontend_needs_are_exposed(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let headers = [("origin", FRONTEND.as_str()), JSON];
    let created = ada
        .request("POST", "/api/tasks", &headers, br#"{"title":"t"}"#)
        .expect(201);
    let refused = app
        .anonymous()
        .request("GET", "/api/tasks", &headers, b"")
        .expect(401);
    for answer in [created, refused] {
        let exposed = answer.list_header("access-control-expose-headers");
        for header in ["etag", "link", "location", "retry-after", "x-request-id"] {
            assert!(exposed.contains(&header.to_owned()), "{header}: {answer}");
        }
    }
}

#[rstest]
fn the_frontends_url_decides_the_origin(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("BETTER_AUTH_URL", "https://todo.example/app/")
        .start();
    let ada = app.user("ada");
    let ask = |origin: &str| ada.request("GET", "/api/tasks", &[("origin", origin)], b"");
    // The URL's path and trailing slash are not part of its origin.
    assert_allows(&ask("https://todo.example"), "https://todo.example");
    assert_no_cors_headers(&ask(FRONTEND.as_str()));
}

#[rstest]
fn further_origins_can_be_configured(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env(
            "CORS_ALLOWED_ORIGINS",
            "http://localhost:5173, https://todo.example",
        )
        .start();
    let ada = app.user("ada");
    for origin in ["http://localhost:5173", "https://todo.example"] {
        assert_allows(
            &ada.request("GET", "/api/tasks", &[("origin", origin)], b""),
            origin,
        );
        let answer = preflight(&app, "/api/tasks", origin, "POST", "authorization");
        assert_allows(&answer, origin);
    }
    assert_no_cors_headers(&ada.request("GET", "/api/tasks", &[("origin", "http://evil.example")], b""));
}

#[rstest]
fn a_503_has_cors_headers(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "300")
        .start();
    let ada = app.user("ada");
    ada.has_task("before");
    let _held = app.lock();
    let body = json!({ "title": "t" }).to_string();
    let headers = [("origin", FRONTEND.as_str()), JSON];
    let answer = ada.request("POST", "/api/tasks", &headers, body.as_bytes());
    answer.assert_problem(503);
    assert_allows(&answer, FRONTEND.as_str());
}
