//! The number of database statements per request. Most requests of a user whom the service already knows need exactly
//! one statement, and responses without data from the database need none.

use serde_json::json;

use crate::support::statements::{self, Statement};
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Database, OwnDatabase, TestApp, app::Builder};
use std::sync::Arc;

/// Returns the statements that the service sent while `call` ran, without those that initialize or check a
/// connection.
fn sent(app: &TestApp, call: impl FnOnce()) -> Vec<Statement> {
    let before = statements::recorded(app).len();
    call();
    let mut sent = statements::recorded(app).split_off(before);
    sent.retain(|statement| !statement.is_of_the_connection());
    sent
}

/// Returns a service whose statements are recorded, and a user whom the service already knows.
fn recorded() -> (TestApp, Actor) {
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    statements::record(&database);
    // The pool has the minimum size, so that the test uses the connections on which the requests below prepare their
    // statements.
    let app = Builder::on(database).env("DATABASE_POOL_SIZE", "2").start();
    let ada = app.user("ada");
    // Each kind of request is sent once, so that its statements are already prepared when the test sends it.
    let task = id(&ada.has_task("warm"));
    ada.get("/api/tasks").expect(200);
    ada.get(&format!("/api/tasks/{task}")).expect(200);
    ada.put(&format!("/api/tasks/{task}"), json!({ "title": "t" }))
        .expect(200);
    ada.patch(&format!("/api/tasks/{task}/complete")).expect(200);
    ada.delete(&format!("/api/tasks/{task}")).expect(204);
    (app, ada)
}

#[test]
fn each_call_is_one_statement() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    for contract in CONTRACTS {
        let task = id(&ada.has_task("Buy milk"));
        let item = contract.task(&ada, task);
        let tasks = contract.tasks(&ada);
        let calls: [(&str, &dyn Fn()); 10] = [
            ("POST", &|| {
                drop(ada.post(&tasks, json!({ "title": "t" })).expect(201));
            }),
            ("GET list", &|| drop(ada.get(&tasks).expect(200))),
            ("GET list, filtered", &|| {
                drop(ada.get(&format!("{tasks}?status=pending&sort=title")).expect(200));
            }),
            ("GET list, a page", &|| {
                drop(ada.get(&format!("{tasks}?sort=due_date&limit=5")).expect(200));
            }),
            ("GET item", &|| drop(ada.get(&item).expect(200))),
            ("PUT", &|| {
                drop(ada.put(&item, json!({ "title": "u" })).expect(200));
            }),
            ("PUT of all", &|| {
                let all = json!({
                    "title": "v", "description": "d", "completed": true, "due_date": "2026-03-01",
                });
                drop(ada.put(&item, all).expect(200));
            }),
            ("PATCH", &|| {
                drop(ada.patch(&contract.complete(&ada, task)).expect(200));
            }),
            ("PATCH that sets", &|| {
                let path = contract.complete(&ada, task);
                drop(
                    ada.json("PATCH", &path, &json!({ "completed": true }))
                        .expect(200),
                );
            }),
            ("DELETE", &|| drop(ada.delete(&item).expect(204))),
        ];
        for (call, run) in calls {
            let statements = sent(&app, run);
            // The statement was already prepared, so the request takes only one round trip to the database.
            let [Statement { prepared: true, .. }] = &statements[..] else {
                panic!("{contract:?} {call}: {statements:#?}");
            };
        }
    }
}

#[test]
fn a_busy_connection_is_not_checked() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    let before = statements::recorded(&app).len();
    for _ in 0..50 {
        ada.get("/api/tasks").expect(200);
    }
    let sent = statements::recorded(&app).split_off(before);
    let checks = sent
        .iter()
        .filter(|statement| statement.text == "SELECT 1")
        .count();
    assert!(checks < 10, "{checks} checks in 50 calls");
}

#[test]
fn a_conditional_update_is_one_statement_too() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    let item = format!("/api/tasks/{}", id(&ada.has_task("Buy milk")));
    let headers = [("content-type", "application/json"), ("if-match", "\"1\"")];
    let statements = sent(&app, || {
        let written = ada.request("PUT", &item, &headers, br#"{"title": "Buy oat milk"}"#);
        written.expect(200);
    });
    assert_eq!(statements.len(), 1, "{statements:#?}");
    assert!(statements[0].prepared, "{statements:#?}");
}

#[test]
fn a_known_user_is_not_written_again() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    ada.has_task("Buy milk");
    let statements = sent(&app, || {
        for _ in 0..5 {
            // Each token is different, but has the same email and name.
            let mut claims = ada.claims();
            claims["jti"] = json!(crate::support::random::suffix());
            ada.signed(&claims).get("/api/tasks").expect(200);
        }
    });
    assert_eq!(statements.len(), 5, "{statements:#?}");
    let reads = |statement: &Statement| statement.text.trim_start_matches('(').starts_with("SELECT");
    assert!(statements.iter().all(reads), "{statements:#?}");
}

#[test]
fn a_newer_token_of_a_known_user_is_compared_with_the_row_once() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    let mut claims = ada.claims();
    claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 600);
    let newer = ada.signed(&claims);
    let statements = sent(&app, || {
        for _ in 0..5 {
            newer.get("/api/tasks").expect(200);
            ada.get("/api/tasks").expect(200);
        }
    });
    let of_users = statements
        .iter()
        .filter(|statement| statement.text.contains("\"users\""));
    assert_eq!(of_users.count(), 1, "{statements:#?}");
    assert_eq!(statements.len(), 11, "{statements:#?}");
}

#[test]
fn an_email_that_another_row_holds_is_not_looked_up_with_each_call() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    let bob = app.user("bob");
    let mut claims = bob.claims();
    claims["email"] = json!(ada.email);
    let bob = bob.signed(&claims);
    bob.get("/api/tasks").expect(200);
    let statements = sent(&app, || {
        for _ in 0..5 {
            bob.get("/api/tasks").expect(200);
        }
    });
    assert_eq!(statements.len(), 5, "{statements:#?}");
}

#[test]
fn an_empty_list_is_one_statement_too() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    for query in ["", "?status=completed"] {
        let statements = sent(&app, || {
            drop(ada.get(&format!("/api/tasks{query}")).expect(200));
        });
        assert_eq!(statements.len(), 1, "{query}: {statements:#?}");
    }
}

#[test]
fn responses_that_need_no_database_send_no_statement() {
    skip_at_a_deployment!();
    let (app, ada) = recorded();
    let eve = app.user("eve");
    let statements = sent(&app, || {
        app.anonymous().get("/livez").expect(200);
        app.anonymous().get("/nowhere").expect(404);
        app.anonymous().get("/api/tasks").expect(401);
        ada.with_token("x")
            .post("/api/tasks", json!({ "title": "t" }))
            .expect(401);
        eve.get(&format!("/api/{}/tasks", ada.id)).expect(403);
    });
    assert!(statements.is_empty(), "{statements:#?}");
}
