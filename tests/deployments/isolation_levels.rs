//! Databases whose default isolation level is not READ COMMITTED.

use std::sync::Arc;
use std::thread;

use serde_json::json;

use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase, TestApp};

fn database_with(level: &str) -> Arc<OwnDatabase> {
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let name = database.name();
    database.execute(&format!(
        "ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"
    ));
    let default = database.value("SELECT current_setting('default_transaction_isolation')");
    assert_eq!(default.as_deref(), Some(level));
    database
}

fn create_once(user: &Actor, key: &str) -> i64 {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    let body = json!({ "title": key }).to_string();
    let answer = user.request("POST", "/api/tasks", &headers, body.as_bytes());
    id(&answer.expect(201).json())
}

/// Starts `callers` threads. Each of them calls `call` once per round.
fn at_once(callers: usize, rounds: usize, call: impl Fn(usize, usize) + Sync) {
    thread::scope(|scope| {
        for caller in 0..callers {
            let call = &call;
            scope.spawn(move || (0..rounds).for_each(|round| call(caller, round)));
        }
    });
}

/// Makes concurrent calls that conflict, and checks that all of them succeed: all callers toggle the same task and use
/// the same idempotency keys.
fn parallel_calls_succeed(app: &TestApp) {
    let ada = app.user("ada");
    let path = format!("/api/tasks/{}", id(&ada.has_task("toggled")));
    at_once(8, 25, |caller, round| {
        ada.patch(&format!("{path}/complete")).expect(200);
        let task = ada.has_task(&format!("{caller} {round}"));
        assert_eq!(
            create_once(&ada, &format!("shared {round}")),
            create_once(&ada, &format!("shared {round}"))
        );
        create_once(&ada, &format!("{caller} {round}"));
        ada.get("/api/tasks").expect(200);
        ada.delete(&format!("/api/tasks/{}", task["id"])).expect(204);
        // All callers use the same new user in each round, so several of them may create the user's row concurrently.
        app.user(&format!("new{round}")).has_task("first");
    });
    // The version starts at 1, and each toggle increments it, so no toggle was lost.
    let toggled = ada.get(&path).expect(200).json();
    assert_eq!(toggled["version"], json!(1 + 8 * 25));
    assert_eq!(toggled["completed"], json!(false));
    let left = ada.get("/api/tasks").expect(200).json();
    assert_eq!(left.as_array().map(Vec::len), Some(1 + 25 + 8 * 25));
}

#[test]
fn no_call_fails_where_serializable_is_the_default() {
    skip_at_a_deployment!();
    let app = Builder::on(database_with("serializable")).start();
    parallel_calls_succeed(&app);
}

#[test]
fn no_call_fails_where_repeatable_read_is_the_default() {
    skip_at_a_deployment!();
    let app = Builder::on(database_with("repeatable read")).start();
    parallel_calls_succeed(&app);
}

#[test]
fn writers_of_different_rows_succeed_behind_a_pooler_at_repeatable_read() {
    skip_at_a_deployment!();
    // Without a pooler, the service sets the isolation level by a startup option of its connections. Connections to a
    // pooler do not have this option, so the database's default applies to statements outside of transactions.
    let database = database_with("repeatable read");
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
    let app = Builder::on(Arc::clone(&database))
        .env("DATABASE_URL", &pooler.url(database.name()))
        .start();
    let users: Vec<Actor> = (0..3).map(|number| app.user(&format!("user{number}"))).collect();
    let tasks: Vec<String> = users
        .iter()
        .map(|user| format!("/api/tasks/{}", id(&user.has_task("toggled"))))
        .collect();
    at_once(3, 60, |caller, round| {
        let user = &users[caller];
        user.patch(&format!("{}/complete", tasks[caller])).expect(200);
        user.has_task(&round.to_string());
        create_once(user, &format!("key {round}"));
        user.get("/api/tasks").expect(200);
    });
    for (user, task) in users.iter().zip(&tasks) {
        assert_eq!(user.get(task).expect(200).json()["version"], json!(61));
    }
}
