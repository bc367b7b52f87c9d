//! The embedded database commits the writes of several calls together. A write that fails must not affect the others.

use std::collections::BTreeSet;
use std::thread;

use rstest::rstest;
use serde_json::json;

use crate::support::{Database, TestApp};

const CLIENTS: usize = 16;
const CREATES: usize = 24;

/// Creates tasks with several clients at the same time. Every sixth has the title `FAIL`. Returns the other titles with
/// the statuses of their responses.
fn create_many(app: &TestApp) -> Vec<(String, u16)> {
    let create = |client: usize| {
        let user = app.user(&format!("user{}", client % 4));
        let create = move |number: usize| {
            let title = format!("{client}-{number}");
            let fails = number % 6 == 5;
            let answer = user.post(
                "/api/tasks",
                json!({ "title": if fails { "FAIL" } else { &title } }),
            );
            if fails {
                answer.assert_problem(503);
            }
            (!fails).then_some((title, answer.status))
        };
        (0..CREATES).filter_map(create).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || create(client)))
            .collect();
        let created = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client should not fail"));
        created.collect()
    })
}

/// Starts a service on an embedded database in which each insert of a task with the title `FAIL` executes `action`.
fn start_with_failing_inserts(action: &str) -> TestApp {
    let app = TestApp::start(Database::Sqlite);
    for user in 0..4 {
        app.user(&format!("user{user}"))
            .creates(json!({ "title": "first" }));
    }
    app.database().execute(&format!(
        "CREATE TRIGGER fail BEFORE INSERT ON tasks WHEN NEW.title = 'FAIL' \
         BEGIN SELECT RAISE({action}, 'the trigger refuses this title'); END"
    ));
    app
}

/// The titles that are stored, apart from those that `start_with_failing_inserts` has created.
fn stored(app: &TestApp) -> BTreeSet<String> {
    let users = (0..4).map(|user| app.user(&format!("user{user}")));
    let titles = users.flat_map(|user| user.titles("/api/tasks"));
    titles.filter(|title| title != "first").collect()
}

#[rstest]
// `ABORT` rolls back only the statement. `ROLLBACK` rolls back the whole transaction, as some disk errors do.
fn a_write_that_fails_affects_no_other_and_each_acknowledged_write_is_stored(
    #[values("ABORT", "ROLLBACK")] action: &str,
) {
    skip_at_a_deployment!();
    let app = start_with_failing_inserts(action);
    let created = create_many(&app);
    for (title, status) in &created {
        assert_eq!(*status, 201, "{title}");
    }
    assert_eq!(
        stored(&app),
        created.into_iter().map(|(title, _)| title).collect()
    );
}

#[rstest]
fn a_newer_token_can_be_used_for_reads_while_another_program_holds_the_write_lock(
    #[values(false, true)] table_belongs_to_better_auth: bool,
) {
    skip_at_a_deployment!();
    let app = TestApp::start(Database::Sqlite);
    let ada = app.user("ada");
    ada.has_task("Buy milk");
    let mut claims = ada.claims();
    claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 60);
    if table_belongs_to_better_auth {
        // The service does not write to Better Auth's table, so a read need not wait even with a new name.
        app.execute("ALTER TABLE users ADD COLUMN \"emailVerified\" boolean NOT NULL DEFAULT false");
        claims["name"] = json!("Augusta Ada");
    }
    let mut other = app.database().connect();
    other.execute("BEGIN IMMEDIATE");
    let ada = ada.signed(&claims);
    assert_eq!(ada.titles("/api/tasks"), ["Buy milk"]);
    let task = &ada.get("/api/tasks").json()[0];
    ada.put(&format!("/api/tasks/{}", task["id"]), json!({}))
        .expect(200);
    other.execute("ROLLBACK");
}
