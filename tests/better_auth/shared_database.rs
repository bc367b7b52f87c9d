//! Better Auth and the service on one PostgreSQL database, with one `users` table for both.

use std::sync::Arc;

use serde_json::json;

use super::issuer::{Issuer, PASSWORD, Session};
use super::tokens::assert_good;
use crate::support::app::Builder;
use crate::support::deployment::own_process_allowed;
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

/// Sign-up makes the row, the service's calls use it, and the issuer's deletion takes the tasks along.
fn assert_shared(app: &TestApp, issuer: &Issuer) {
    let ada = issuer.sign_up("Ada");
    assert_eq!(
        count(app, "users", &row_of(&ada)),
        "1",
        "the sign-up made the row"
    );

    let token = ada.token();
    assert_good(app, &ada, &token);
    assert_eq!(count(app, "users", "true"), "1", "the service made no other");
    assert_eq!(
        count(app, "users", &row_of(&ada)),
        "1",
        "nor did it change this one"
    );
    let hers = format!("user_id = '{}'", ada.id);
    assert_eq!(count(app, "tasks", &hers), "2");

    let bob = issuer.sign_up("Bob");
    assert_good(app, &bob, &bob.token());
    ada.post("/api/auth/delete-user", json!({ "password": PASSWORD }))
        .expect(200);
    assert_eq!(count(app, "users", &row_of(&ada)), "0");
    assert_eq!(count(app, "tasks", &hers), "0", "the tasks went with the user");
    assert_eq!(count(app, "tasks", "true"), "2", "and nobody else's");
    assert_comes_back(app, &ada, &token);
    assert_address_moves(app, &bob);
}

fn row_of(user: &Session) -> String {
    let Session { id, email, name, .. } = user;
    format!("id = '{id}' AND email = '{email}' AND name = '{name}'")
}

/// Her token holds for a while yet, and the service takes the token's word.
fn assert_comes_back(app: &TestApp, ada: &Session, token: &str) {
    let ada_again = ada.calls(app, token);
    ada_again.get("/api/tasks").expect(200);
    ada_again.has_task("after all");
    assert_eq!(count(app, "users", &row_of(ada)), "1");
}

/// A new id with the address of an older row, as when somebody signs up anew elsewhere.
fn assert_address_moves(app: &TestApp, holder: &Session) {
    let successor = app.user("successor");
    let mut claims = successor.claims();
    claims["email"] = json!(holder.email);
    successor.signed(&claims).get("/api/tasks").expect(200);
    let has_it = format!("email = '{}'", holder.email);
    let ids = app.values(&format!("SELECT id FROM users WHERE {has_it}"));
    assert_eq!(ids, [Some(successor.id)]);
}

#[test]
fn the_service_started_first_and_both_share_the_users() {
    if !own_process_allowed() {
        return;
    }
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    // It has to know its frontend's URL before there is one, so a first process makes the tables.
    drop(Builder::on(Arc::clone(&database)).start());
    let issuer = Issuer::on(&database);
    let app = service_on(&database, &issuer);
    assert_shared(&app, &issuer);
}

#[test]
fn better_auth_started_first_and_both_share_the_users() {
    if !own_process_allowed() {
        return;
    }
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let issuer = Issuer::on(&database);
    let app = service_on(&database, &issuer);
    assert_shared(&app, &issuer);
}

#[test]
fn users_and_tasks_from_before_better_auth_are_still_there_with_it() {
    if !own_process_allowed() {
        return;
    }
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let before = Builder::on(Arc::clone(&database)).start();
    let ada = before.user("ada");
    ada.has_task("from before");
    let issuer = Issuer::on(&database);
    assert_eq!(
        ada.titles("/api/tasks"),
        ["from before"],
        "while its columns were added"
    );
    let app = service_on(&database, &issuer);
    assert_eq!(ada.at(app.target()).titles("/api/tasks"), ["from before"]);
}
