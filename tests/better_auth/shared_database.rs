//! Better Auth and the service share one PostgreSQL database and its table `users`.

use std::sync::Arc;

use serde_json::json;

use super::issuer::{Issuer, PASSWORD, Session};
use super::tokens::assert_good;
use crate::support::app::Builder;
use crate::support::{Database, OwnDatabase, TestApp};

fn service_on(database: &Arc<OwnDatabase>, issuer: &Issuer) -> TestApp {
    Builder::on(Arc::clone(database))
        .env("BETTER_AUTH_URL", &issuer.url)
        .start()
}

fn count(app: &TestApp, table: &str, condition: &str) -> String {
    let count = app.value(&format!("SELECT count(*) FROM {table} WHERE {condition}"));
    count.unwrap()
}

/// Checks that a sign-up creates the user's row, that the service uses this row, and that the deletion of the account
/// deletes the user's tasks.
fn assert_shared(app: &TestApp, issuer: &Issuer) {
    let ada = issuer.sign_up("Ada");
    assert_eq!(
        count(app, "users", &row_of(&ada)),
        "1",
        "the sign-up should create the row"
    );

    let token = ada.token();
    assert_good(app, &ada, &token);
    assert_eq!(
        count(app, "users", "true"),
        "1",
        "the service should create no further row"
    );
    assert_eq!(
        count(app, "users", &row_of(&ada)),
        "1",
        "the service should not change the row"
    );
    let hers = format!("user_id = '{}'", ada.id);
    assert_eq!(count(app, "tasks", &hers), "2");

    let bob = issuer.sign_up("Bob");
    assert_good(app, &bob, &bob.token());
    ada.post("/api/auth/delete-user", json!({ "password": PASSWORD }))
        .expect(200);
    assert_eq!(count(app, "users", &row_of(&ada)), "0");
    assert_eq!(
        count(app, "tasks", &hers),
        "0",
        "the user's tasks should be deleted"
    );
    assert_eq!(
        count(app, "tasks", "true"),
        "2",
        "other users' tasks should remain"
    );
    assert_stays_deleted(app, issuer, &ada, &token);
    assert_is_never_written(app, issuer, &bob);
}

fn row_of(user: &Session) -> String {
    let Session { id, email, name, .. } = user;
    format!("id = '{id}' AND email = '{email}' AND name = '{name}'")
}

/// Checks that a token of a deleted account gives no access to tasks, although the token has not expired yet. A process
/// that has seen the user responds to reads with an empty list until a write finds that the row is missing.
fn assert_stays_deleted(app: &TestApp, issuer: &Issuer, ada: &Session, token: &str) {
    let title = json!({ "title": "after all" });
    let ada_again = ada.calls(app, token);
    assert_eq!(ada_again.get("/api/tasks").expect(200).json(), json!([]));
    ada_again.post("/api/tasks", title.clone()).assert_unauthorized();
    ada_again.get("/api/tasks").assert_unauthorized();
    // This process has not seen the user before.
    let other = service_on(app.database(), issuer);
    let at_other = ada.calls(&other, token);
    at_other.get("/api/tasks").assert_unauthorized();
    at_other.get("/api/tasks/1").assert_unauthorized();
    at_other.post("/api/tasks", title).assert_unauthorized();
    at_other.delete("/api/tasks/1").assert_unauthorized();
    assert_eq!(count(app, "users", &format!("id = '{}'", ada.id)), "0");
    // The user must be able to sign up again with the same address.
    let again = issuer.sign_up_as("Ada", &ada.email);
    assert_ne!(again.id, ada.id);
    again.calls(app, &again.token()).has_task("a new start");
}

/// Checks that no process writes to the table `users`, neither because of an outdated token nor because of a token of
/// an unknown account.
fn assert_is_never_written(app: &TestApp, issuer: &Issuer, bob: &Session) {
    let before = bob.token();
    bob.post("/api/auth/update-user", json!({ "name": "Robert" }))
        .expect(200);
    // The first statement does what Better Auth does when a user has confirmed a new address. The second one gives
    // the old address to another user.
    let moved = format!("new-{}", bob.email);
    let other = issuer.sign_up("Carol");
    app.execute(&format!(
        "UPDATE users SET email = '{moved}', email_verified = true WHERE id = '{}'; \
         UPDATE users SET email = '{}', email_verified = true WHERE id = '{}'",
        bob.id, bob.email, other.id
    ));
    let rows = || {
        // `xmin` changes with every write, even with one that changes no value.
        app.values("SELECT concat_ws(' ', xmin, id, email, name, email_verified) FROM users ORDER BY id")
    };
    let untouched = rows();
    assert!(untouched.iter().flatten().any(|row| row.contains(" Robert t")));
    let replica = service_on(app.database(), issuer);
    for app in [app, &replica] {
        for token in [&before, &bob.token()] {
            let bob = bob.calls(app, token);
            bob.get("/api/tasks").expect(200);
            bob.has_task("t");
        }
        // Better Auth does not know this user, and the token contains the address of another user.
        let stranger = app.user("stranger");
        let mut claims = stranger.claims();
        claims["email"] = json!(bob.email);
        stranger.signed(&claims).get("/api/tasks").assert_unauthorized();
    }
    assert_eq!(rows(), untouched);
}

#[test]
fn the_service_started_first_and_both_share_the_users() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    // The issuer's URL is not known before the issuer starts. A first service process, which does not need this URL,
    // therefore creates the tables.
    drop(Builder::on(Arc::clone(&database)).start());
    let issuer = Issuer::on(&database);
    let app = service_on(&database, &issuer);
    assert_shared(&app, &issuer);
}

#[test]
fn better_auth_started_first_and_both_share_the_users() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let issuer = Issuer::on(&database);
    let columns = "SELECT string_agg(concat(column_name, ' ', is_nullable, ' ', column_default), ', ' \
         ORDER BY column_name) FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = 'users'";
    let before = database.value(columns);
    let app = service_on(&database, &issuer);
    assert_eq!(database.value(columns), before, "the table should not be altered");
    assert_shared(&app, &issuer);
}

#[test]
fn users_and_tasks_from_before_better_auth_are_still_there_with_it() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let before = Builder::on(Arc::clone(&database)).start();
    let ada = before.user("ada");
    ada.has_task("from before");
    let issuer = Issuer::on(&database);
    assert_eq!(
        ada.titles("/api/tasks"),
        ["from before"],
        "the service should tolerate the added columns"
    );
    // From now on, only Better Auth creates users.
    before.user("bob").get("/api/tasks").assert_unauthorized();
    assert_eq!(count(&before, "users", "true"), "1");
    let app = service_on(&database, &issuer);
    assert_eq!(ada.at(app.target()).titles("/api/tasks"), ["from before"]);
}
