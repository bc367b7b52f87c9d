//! A database role that may not create tables can run the service once the owner has run the migrations.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::resilience::watch::until_ready_is;
use crate::support::app::{Builder, SECRET};
use crate::support::cluster::Cluster;
use crate::support::token::now;
use crate::support::{Database, OwnDatabase, cli, random, wait};

/// Returns the grants that docs/DEPLOYMENT.md documents for the role of the service.
fn documented_grants(role: &str) -> String {
    let manual = include_str!("../../docs/DEPLOYMENT.md");
    let grants = manual.lines().filter(|line| line.starts_with("GRANT "));
    let grants: Vec<_> = grants
        .map(|line| line.replace(" TO app;", &format!(" TO {role};")))
        .collect();
    assert!(grants.iter().all(|grant| grant.contains(role)), "{grants:#?}");
    grants.join("\n")
}

/// Creates a role that has been granted nothing, and returns its name and the URL with which it connects.
fn new_role(database: &OwnDatabase) -> (String, String) {
    let role = format!("role_{}", random::suffix().to_lowercase());
    database.execute(&format!("CREATE ROLE {role} LOGIN"));
    let (port, name) = (Cluster::get().port, database.name());
    let url = format!("postgres://{role}@127.0.0.1:{port}/{name}");
    (role, url)
}

#[test]
fn a_role_with_the_documented_grants_can_run_the_service() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let folder = tempfile::tempdir().unwrap();
    let owner = [
        ("DATABASE_URL", database.url.as_str()),
        ("BETTER_AUTH_SECRET", SECRET),
    ];
    cli::run(folder.path(), &owner, &["migrate"]).expect_success();

    let (role, url) = new_role(&database);
    database.execute(&documented_grants(&role));
    // `start` waits until the service is ready.
    let app = Builder::on(Arc::clone(&database))
        .env("DATABASE_URL", &url)
        .start();
    let ada = app.user("ada");
    let task = ada.has_task("first");
    let create = || {
        let headers = [("content-type", "application/json"), ("idempotency-key", "key")];
        let body = json!({ "title": "second" }).to_string();
        ada.request("POST", "/api/tasks", &headers, body.as_bytes())
            .expect(201)
            .json()
    };
    assert_eq!(create(), create());
    assert_eq!(ada.titles("/api/tasks?sort=title"), ["first", "second"]);
    let path = format!("/api/tasks/{}", task["id"]);
    ada.put(&path, json!({ "title": "changed" })).expect(200);
    ada.patch(&format!("{path}/complete")).expect(200);
    ada.delete(&path).expect(204);
    // A newer token with another name updates the user's row.
    let mut claims = ada.claims();
    claims["name"] = json!("Ada Lovelace");
    claims["iat"] = json!(now());
    ada.signed(&claims).get("/api/tasks").expect(200);
    let name = format!("SELECT name FROM users WHERE id = '{}'", ada.id);
    assert_eq!(database.value(&name).as_deref(), Some("Ada Lovelace"));
    app.anonymous().get("/readyz").expect(200);
}

#[test]
fn a_role_that_may_not_create_tables_waits_for_the_owner_to_migrate() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let (role, url) = new_role(&database);
    let app = Builder::on(Arc::clone(&database))
        .env("DATABASE_URL", &url)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "1000")
        .without_its_database()
        .start();
    app.anonymous().get("/readyz").assert_unavailable();
    let says = || app.log().contains("permission denied").then_some(());
    wait::until(Duration::from_secs(5), says).expect("the log should explain the failure");

    let folder = tempfile::tempdir().unwrap();
    let owner = [
        ("DATABASE_URL", database.url.as_str()),
        ("BETTER_AUTH_SECRET", SECRET),
    ];
    cli::run(folder.path(), &owner, &["migrate"]).expect_success();
    database.execute(&documented_grants(&role));
    until_ready_is(200, &app);
    app.user("ada").has_task("at last");
}
