//! `todo-backend token USER`, which prints a token for this user.

use rstest::rstest;

use crate::support::app::SECRET;
use crate::support::cli::run;
use crate::support::token::{claims_of, now};
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

/// Returns the only line of a text.
#[track_caller]
pub fn only_line(text: &str) -> &str {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0]
}

#[rstest]
fn a_printed_token_works(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let environment = [("DATABASE_URL", &*app.url), ("BETTER_AUTH_SECRET", SECRET)];
    let printed = run(app.folder(), &environment, &["token", "alice"]).expect_success();
    let token = only_line(&printed.stdout);
    let alice = app.anonymous().with_token(token);
    let task = alice.has_task("Buy milk");
    assert_eq!(task["user_id"], "alice");
    assert_eq!(claims_of(token)["sub"], "alice");
    assert!(claims_of(token)["exp"].as_i64().unwrap() > now());

    let unusual = run(app.folder(), &environment, &["token", "auth0|5 f/ü"]).expect_success();
    let unusual = app.anonymous().with_token(only_line(&unusual.stdout));
    assert_eq!(unusual.has_task("t")["user_id"], "auth0|5 f/ü");
}

#[rstest]
fn a_printed_token_has_the_given_claims(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let environment = [("DATABASE_URL", &*app.url), ("BETTER_AUTH_SECRET", SECRET)];
    let printed = run(
        app.folder(),
        &environment,
        &[
            "token",
            "alice",
            "--email",
            "alice@example.com",
            "--name",
            "Alice L",
            "--ttl",
            "60",
        ],
    )
    .expect_success();
    let token = only_line(&printed.stdout);
    let claims = claims_of(token);
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["name"], "Alice L");
    let lifetime = claims["exp"].as_i64().unwrap() - now();
    assert!((50..=61).contains(&lifetime), "{claims}");

    app.anonymous().with_token(token).get("/api/tasks").expect(200);
    let email = app.value("SELECT email FROM users WHERE id = 'alice'");
    assert_eq!(email.as_deref(), Some("alice@example.com"));
}

#[rstest]
fn no_token_is_printed_for_an_invalid_user_id(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", &*database.url), ("BETTER_AUTH_SECRET", SECRET)];
    for wrong in ["", "  ", &"a".repeat(256)] {
        let printed = run(folder.path(), &environment, &["token", wrong]);
        assert!(!printed.success, "{wrong:?}");
        assert_eq!(printed.stdout, "");
    }
}
