//! Invalid and unusual request bodies, on the routes that accept a body.

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

/// Returns every route that accepts a body. The last one, PATCH, does not require a body.
fn calls(contract: Contract, user: &Actor, id: i64) -> [(&'static str, String); 3] {
    [
        ("POST", contract.tasks(user)),
        ("PUT", contract.task(user, id)),
        ("PATCH", contract.complete(user, id)),
    ]
}

#[rstest]
fn a_body_that_is_not_a_json_object_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for (method, path) in calls(contract, &ada, id(&task)) {
            for body in [
                "[]",
                r#"[{"title":"t"}]"#,
                "\"title\"",
                "5",
                "true",
                "null",
                "{",
                "{}{}",
                r#"{"title":"t"} x"#,
                r#"{"title":"t",}"#,
                r"{'title':'t'}",
                r#"{"title":}"#,
                "title=t",
                "<title>t</title>",
                "\u{0}",
            ] {
                let answer = ada.body(method, &path, body.as_bytes());
                answer.assert_bad_input(contract);
            }
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn an_empty_body_is_bad_input_where_one_is_needed(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        let [post, put, _] = calls(contract, &ada, id(&task));
        for (method, path) in [post, put] {
            let json = [("content-type", "application/json")];
            ada.request(method, &path, &json, b"").assert_bad_input(contract);
            ada.body(method, &path, b" \r\n ").assert_bad_input(contract);
        }
    }
}

#[rstest]
fn invalid_utf_8_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for (method, path) in calls(contract, &ada, id(&task)) {
            let field = if method == "PATCH" { "completed" } else { "title" };
            let within = [br#"{""#, field.as_bytes(), b"\":\"\xc3\x28\"}"].concat();
            let surrogate = [br#"{""#, field.as_bytes(), b"\":\"\xed\xa0\x80\"}"].concat();
            for body in [&b"\xff\xfe"[..], &within, &surrogate] {
                ada.body(method, &path, body).assert_bad_input(contract);
            }
        }
    }
}

#[rstest]
fn a_lone_surrogate_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        let [post, put, _] = calls(contract, &ada, id(&task));
        for (method, path) in [post, put] {
            for body in [
                r#"{"title":"\ud800"}"#,
                r#"{"title":"a\udc00b"}"#,
                r#"{"title":"\udc00\ud800"}"#,
                r#"{"title":"t","description":"\ud83d"}"#,
            ] {
                ada.body(method, &path, body.as_bytes())
                    .assert_bad_input(contract);
            }
            // Unknown members are ignored, whatever their names are.
            let unknown = ada.body(method, &path, br#"{"title":"t","\ud800":1}"#);
            assert!(unknown.status < 300, "{unknown}");
            // A surrogate pair is valid.
            let pair = ada.body(method, &path, br#"{"title":"\ud83d\ude00"}"#);
            assert!(pair.status < 300, "{pair}");
            assert_eq!(pair.json()["title"], "😀");
        }
    }
}

#[rstest]
fn nesting_of_5000_levels_causes_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    let arrays = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    for contract in CONTRACTS {
        for (method, path) in calls(contract, &ada, id(&task)) {
            for deep in [&arrays, &objects] {
                let field = if method == "PATCH" { "completed" } else { "title" };
                let body = format!(r#"{{"{field}":{deep}}}"#);
                ada.body(method, &path, body.as_bytes())
                    .assert_bad_input(contract);

                let body = format!(r#"{{"title":"t","completed":true,"unknown":{deep}}}"#);
                let answer = ada.body(method, &path, body.as_bytes());
                if answer.status >= 300 {
                    answer.assert_bad_input(contract);
                }
            }
            // Unclosed brackets are invalid as well.
            let open = ada.body(method, &path, "[".repeat(5_000).as_bytes());
            open.assert_bad_input(contract);
        }
    }
    ada.get("/api/tasks").expect(200);
}

#[rstest]
fn numbers_beyond_any_range_are_bad_input_or_ignored(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for number in [
            "1e400",
            "-1e400",
            "123456789012345678901234567890",
            "-0",
            "1e-400",
        ] {
            let body = format!(r#"{{"title":{number}}}"#);
            ada.body("POST", &path, body.as_bytes())
                .assert_bad_input(contract);
            let body = format!(r#"{{"title":"t","unknown":{number}}}"#);
            let answer = ada.body("POST", &path, body.as_bytes());
            assert!(
                answer.status == 201 || answer.status == contract.bad_input(),
                "{answer}"
            );
        }
    }
}

#[rstest]
fn a_body_may_have_any_white_space_and_a_charset(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for media_type in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "Application/JSON",
        ] {
            let body = b"\r\n { \t\"title\" : \"Buy milk\" }\n";
            let headers = [("content-type", media_type)];
            ada.request("POST", &contract.tasks(&ada), &headers, body)
                .expect(201);
        }
    }
}
