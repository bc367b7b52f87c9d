//! The `code` of each field error, which a frontend can translate.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{CONTRACTS, Contract, Database, Postgres, Response, Sqlite, TestApp};

/// Returns the codes of a response by field.
#[track_caller]
fn codes(answer: &Response, contract: Contract) -> Value {
    let problem = answer.assert_problem(contract.bad_input());
    let errors = problem["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("`errors` is missing: {answer}"));
    let pair = |error: &Value| (error["field"].as_str().unwrap().to_owned(), error["code"].clone());
    errors.iter().map(pair).collect::<serde_json::Map<_, _>>().into()
}

#[rstest]
fn every_mistake_in_a_body_has_a_code(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for (body, expected) in [
            ("", json!({ "body": "json" })),
            ("{", json!({ "body": "json" })),
            (r#"{"title": nul}"#, json!({ "body": "json" })),
            ("nonsense", json!({ "body": "json" })),
            ("[]", json!({ "body": "type" })),
            (r#""title""#, json!({ "body": "type" })),
            ("\u{feff}{\"title\": \"t\"}", json!({ "body": "json" })),
            (
                r#"{"title": "a", "completed": 1, "title": "b", "id": 1, "id": 2}"#,
                json!({ "title": "repeated", "completed": "type" }),
            ),
            ("{}", json!({ "title": "required" })),
            (
                r#"{"title": null, "completed": null}"#,
                json!({ "title": "null", "completed": "null" }),
            ),
            (
                r#"{"title": 1, "description": [], "completed": "yes", "due_date": 5}"#,
                json!({ "title": "type", "description": "type", "completed": "type", "due_date": "type" }),
            ),
            (r#"{"title": " \n"}"#, json!({ "title": "blank" })),
            (r#"{"title": "\ud800"}"#, json!({ "title": "json" })),
            (
                r#"{"title": "a\u0000", "description": "\u0000"}"#,
                json!({ "title": "nul", "description": "nul" }),
            ),
            (
                r#"{"title": "t", "due_date": "tomorrow"}"#,
                json!({ "due_date": "format" }),
            ),
            (
                r#"{"title": "t", "due_date": "9999-12-31T23:59:59-01:00"}"#,
                json!({ "due_date": "range" }),
            ),
        ] {
            let headers = [("content-type", "application/json")];
            let answer = ada.request("POST", &contract.tasks(&ada), &headers, body.as_bytes());
            assert_eq!(codes(&answer, contract), expected, "{body}");
        }
        let long = json!({ "title": "x".repeat(201), "description": "x".repeat(1_001) });
        let answer = ada.post(&contract.tasks(&ada), long);
        assert_eq!(
            codes(&answer, contract),
            json!({ "title": "too_long", "description": "too_long" })
        );
    }
}

#[rstest]
fn every_mistake_in_a_query_has_a_code(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for (query, expected) in [
            ("status=done&sort=id", json!({ "status": "enum", "sort": "enum" })),
            ("limit=0", json!({ "limit": "range" })),
            ("limit=1001", json!({ "limit": "range" })),
            ("limit=-1", json!({ "limit": "range" })),
            ("limit=99999999999999999999999", json!({ "limit": "range" })),
            ("limit=ten", json!({ "limit": "type" })),
            ("limit=", json!({ "limit": "type" })),
            ("limit=-", json!({ "limit": "type" })),
            ("limit=1.5", json!({ "limit": "type" })),
            ("limit=1&limit=2", json!({ "limit": "repeated" })),
            ("status=all&status=all", json!({ "status": "repeated" })),
            ("limit=2&cursor=nonsense", json!({ "cursor": "cursor" })),
            ("cursor=nonsense", json!({ "cursor": "cursor" })),
        ] {
            let answer = ada.get(&format!("{}?{query}", contract.tasks(&ada)));
            assert_eq!(codes(&answer, contract), expected, "{query}");
        }
    }
}

#[rstest]
fn every_mistake_in_an_idempotency_key_has_a_code(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let long = "k".repeat(256);
    for contract in CONTRACTS {
        let json = ("content-type", "application/json");
        let key = "idempotency-key";
        for (headers, expected) in [
            (vec![json, (key, "a\tb")], "format"),
            (vec![json, (key, "")], "format"),
            (vec![json, (key, &*long)], "too_long"),
            (vec![json, (key, "a"), (key, "a")], "repeated"),
        ] {
            let answer = ada.request("POST", &contract.tasks(&ada), &headers, br#"{"title": "t"}"#);
            assert_eq!(codes(&answer, contract), json!({ "Idempotency-Key": expected }));
        }
    }
}
