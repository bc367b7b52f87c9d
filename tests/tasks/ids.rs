//! Every id that is not the id of one of the user's tasks gets the same response.

use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Database, Postgres, Response, Sqlite, TestApp, wait};

/// Ids that no task has, most of which are not valid ids. The test also uses the ids of another user's task
/// and of a deleted one.
const WRONG: [&str; 17] = [
    "0",
    "-1",
    "abc",
    "1.5",
    "9007199254740992",
    "12345678901234567890",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "+5",
    "%2B5",
    "%00",
    "1%00",
    "%20",
    "0x1",
    "1e3",
    "%F0%9F%98%80",
];

fn ask(user: &Actor, method: &str, path: &str) -> Response {
    match method {
        "PUT" => user.put(path, json!({ "title": "changed" })),
        _ => user.request(method, path, &[], &[]),
    }
}

#[rstest]
fn every_id_without_a_task_gets_the_same_response(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    let foreign = id(&eve.has_task("Eve's"));
    let own = id(&ada.has_task("Ada's"));
    let deleted = id(&ada.has_task("gone"));
    ada.delete(&format!("/api/tasks/{deleted}")).expect(204);

    let mut ids: Vec<String> = WRONG.map(str::to_owned).to_vec();
    ids.extend([foreign.to_string(), deleted.to_string()]);
    // These are not valid spellings of the user's own id.
    ids.extend([
        format!("+{own}"),
        format!("0{own}"),
        format!("{own}.0"),
        format!("%20{own}"),
    ]);
    for contract in CONTRACTS {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let mut answers = BTreeSet::new();
            for wrong in &ids {
                let path = match method {
                    "PATCH" => contract.complete(&ada, wrong),
                    _ => contract.task(&ada, wrong),
                };
                let answer = ask(&ada, method, &path);
                answer.assert_problem(404);
                // If a response contained the requested id, the responses would differ.
                answers.insert(answer.body_without_request_id());
            }
            assert_eq!(answers.len(), 1, "{method}: {answers:#?}");
        }
    }
    let untouched = eve.get(&format!("/api/tasks/{foreign}")).expect(200).json();
    assert_eq!(untouched["title"], "Eve's");
    assert_eq!(untouched["completed"], false);
}

#[rstest]
fn the_headers_do_not_tell_a_foreign_id_from_a_missing_one(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let foreign = id(&app.user("eve").has_task("Eve's"));
    for contract in CONTRACTS {
        let names = |wrong: &str| -> BTreeSet<String> {
            let answer = ada.get(&contract.task(&ada, wrong));
            answer.assert_problem(404);
            answer.headers.keys().map(ToString::to_string).collect()
        };
        assert_eq!(names(&foreign.to_string()), names("9007199254740000"));
    }
}

#[rstest]
fn ids_never_exceed_what_javascript_can_represent(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    const LAST: i64 = (1 << 53) - 1;
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("the first");
    app.execute(&match db {
        Database::Postgres => format!("ALTER TABLE tasks ALTER COLUMN id RESTART WITH {LAST}"),
        Database::Sqlite => format!("UPDATE sqlite_sequence SET seq = {LAST} - 1 WHERE name = 'tasks'"),
    });
    let answer = ada.post("/api/tasks", json!({ "title": "the last" })).expect(201);
    assert_eq!(id(&answer.json()), LAST);
    ada.get(answer.header("location").unwrap()).expect(200);

    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    for headers in [&headers[..1], &headers] {
        for contract in CONTRACTS {
            let tasks = contract.tasks(&ada);
            let answer = ada.request("POST", &tasks, headers, br#"{"title":"one too many"}"#);
            answer.assert_unavailable();
            assert_eq!(answer.header("location"), None);
        }
    }
    assert_eq!(app.value("SELECT count(*) FROM tasks").as_deref(), Some("2"));
    assert_eq!(
        app.value("SELECT count(*) FROM idempotency_keys").as_deref(),
        Some("0")
    );
    let explained = || {
        let log = app.log();
        log.contains("the largest that JavaScript can represent")
            .then_some(())
    };
    wait::until(Duration::from_secs(5), explained).expect("the log should explain the failure");
}
