//! The media types of request bodies.

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_body_with_another_media_type_is_415(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for (method, path, body) in [
            ("POST", contract.tasks(&ada), r#"{"title":"t"}"#),
            ("PUT", contract.task(&ada, id(&task)), r#"{"title":"t"}"#),
            (
                "PATCH",
                contract.complete(&ada, id(&task)),
                r#"{"completed":true}"#,
            ),
        ] {
            for media_type in [
                "text/plain",
                "text/html; charset=utf-8",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "application/jsonp",
                "application/xml",
                "json",
                "application/",
                "*/*",
            ] {
                let headers = [("content-type", media_type)];
                let answer = ada.request(method, &path, &headers, body.as_bytes());
                answer.assert_problem(415);
            }
            // A body without a media type is refused as well.
            ada.request(method, &path, &[], body.as_bytes())
                .assert_problem(415);
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn every_valid_spelling_of_the_media_type_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for media_type in [
        "application/json;charset=utf-8",
        "application/json ;charset=utf-8",
        "application/json ; charset=\"utf-8\"",
        "Application/JSON; Charset=UTF-8",
        "application/problem+json",
    ] {
        let headers = [("content-type", media_type)];
        let answer = ada.request("POST", "/api/tasks", &headers, br#"{"title":"t"}"#);
        assert_eq!(answer.status, 201, "{media_type}: {answer}");
    }
}

#[rstest]
fn a_request_without_a_body_needs_no_media_type(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("Buy milk"));
        let headers = [("content-type", "text/plain")];
        ada.request("GET", &contract.tasks(&ada), &headers, b"")
            .expect(200);
        ada.patch(&contract.complete(&ada, task)).expect(200);
        ada.request("DELETE", &contract.task(&ada, task), &headers, b"")
            .expect(204);
    }
}
