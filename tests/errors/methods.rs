//! Methods that a route does not support.

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

/// Returns each route with exactly the methods that it supports. The tests ignore `OPTIONS`, which `Allow`
/// may contain as well.
fn routes(contract: Contract, user: &Actor, task: i64) -> [(String, &'static [&'static str]); 3] {
    [
        (contract.tasks(user), &["get", "head", "post"]),
        (contract.task(user, task), &["delete", "get", "head", "put"]),
        (contract.complete(user, task), &["patch"]),
    ]
}

#[rstest]
fn a_wrong_method_is_405_with_the_right_ones_in_allow(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for (path, allowed) in routes(contract, &ada, id(&task)) {
            for method in [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get",
            ] {
                if allowed.contains(&method.to_ascii_lowercase().as_str()) && method != "get" {
                    continue;
                }
                let answer = ada.request(method, &path, &[], b"");
                assert_eq!(answer.status, 405, "{answer}");
                let mut allow = answer.list_header("allow");
                allow.retain(|method| method != "options");
                assert_eq!(allow, allowed, "{answer}");
                if method != "HEAD" {
                    answer.assert_problem(405);
                }
            }
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn a_wrong_method_with_a_body_is_405_too(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    for contract in CONTRACTS {
        let item = contract.task(&ada, task);
        ada.post(&item, json!({ "title": "t" })).assert_problem(405);
        ada.body("PATCH", &item, b"{").assert_problem(405);
        ada.put(&contract.tasks(&ada), json!({})).assert_problem(405);
        ada.post(&contract.complete(&ada, task), json!({}))
            .assert_problem(405);
    }
}

#[rstest]
fn a_wrong_method_on_a_route_outside_the_api_is_405(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let answer = app.anonymous().request("POST", "/livez", &[], b"");
    answer.assert_problem(405);
    let mut allow = answer.list_header("allow");
    allow.retain(|method| method != "options");
    assert_eq!(allow, ["get", "head"]);
}

#[rstest]
fn options_without_cors_headers_lists_the_methods(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for (path, allowed) in routes(contract, &ada, 1) {
            let answer = ada.request("OPTIONS", &path, &[], b"");
            let mut allow = answer.list_header("allow");
            allow.retain(|method| method != "options");
            assert_eq!(allow, allowed, "{answer}");
            if answer.status == 405 {
                answer.assert_problem(405);
            } else {
                assert!(matches!(answer.status, 200 | 204), "{answer}");
            }
            // Without CORS headers, the request is not a preflight and needs a token.
            let answer = app.anonymous().request("OPTIONS", &path, &[], b"");
            answer.assert_unauthorized();
        }
    }
}
