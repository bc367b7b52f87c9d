//! Another program adds a column to `users` that is NOT NULL and has no default.

use std::time::Duration;

use serde_json::json;

use crate::support::token::now;
use crate::support::{Actor, Database, TestApp, wait};

fn newer(user: &Actor, name: &str) -> Actor {
    let mut claims = user.claims();
    claims["name"] = json!(name);
    claims["iat"] = json!(now());
    user.signed(&claims)
}

#[test]
fn a_required_column_without_default_affects_only_new_users() {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(Database::Postgres).start();
    let id = app.unique("ada");
    app.user_with_id(&id).has_task("before");
    app.execute("ALTER TABLE users ADD COLUMN tenant TEXT; UPDATE users SET tenant = 't'");
    app.execute("ALTER TABLE users ALTER COLUMN tenant SET NOT NULL");
    // The first process has already seen the user. The process after the restart has not.
    for name in ["Ada the Second", "Ada the Third"] {
        let ada = app.user_with_id(&id);
        ada.get("/api/tasks").expect(200);
        let ada = newer(&ada, name);
        ada.get("/api/tasks").expect(200);
        ada.has_task("after");
        let stored = app.value(&format!("SELECT name FROM users WHERE id = '{id}'"));
        assert_eq!(stored.as_deref(), Some(name));
        app.restart();
    }
    app.user("bob").get("/api/tasks").assert_unavailable();
    app.user("bob")
        .post("/api/tasks", json!({ "title": "t" }))
        .assert_unavailable();
    // The service writes its log in batches, so the line may appear later than the response.
    let named = || {
        let log = app.log();
        let mut lines = log.lines();
        lines.find(|line| line.contains("503") && line.contains("column \"tenant\""))?;
        Some(())
    };
    wait::until(Duration::from_secs(5), named).expect("the log should name the column");
    // Once an operator has given the column a default, the service must accept the user without a restart.
    app.execute("ALTER TABLE users ALTER COLUMN tenant SET DEFAULT 't'");
    app.user("bob").has_task("at last");
}
