//! `BETTER_AUTH_SECRETS`: a secret can be replaced while tokens and cursors that it signed are still in use. Further
//! tests are about commands that need no secret.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::Builder;
use crate::support::cli::run;
use crate::support::token::{hs256, now};
use crate::support::{Actor, Database, OwnDatabase, Postgres, Sqlite, TestApp};

const OLD: &str = "the-old-secret-which-is-long-enough";
const NEW: &str = "the-new-secret:which-is-long-enough";

fn service(database: &Arc<OwnDatabase>, single: &str, list: &str) -> TestApp {
    Builder::on(Arc::clone(database))
        .env("BETTER_AUTH_SECRET", single)
        .env("BETTER_AUTH_SECRETS", list)
        .start()
}

fn ada(app: &TestApp, secret: &str) -> Actor {
    let claims = json!({ "sub": "ada", "iat": now(), "exp": now() + 900 });
    app.anonymous().with_token(&hs256(&claims, secret))
}

/// Returns the path of the page after the first two tasks. The path contains a cursor.
fn next_page(ada: &Actor) -> String {
    let answer = ada.get("/api/tasks?limit=2&sort=title").expect(200);
    let link = answer.header("link").expect("the list should have a next page");
    let (path, _) = link.trim_start_matches('<').split_once('>').unwrap();
    path.to_owned()
}

/// Checks that tokens and cursors that these secrets signed are accepted, and that those of the other secret are not.
#[track_caller]
fn assert_accepts(app: &TestApp, pages: &[(&str, &str)], secrets: &[&str]) {
    for secret in [OLD, NEW] {
        let status = ada(app, secret).get("/api/tasks").status;
        let expected = if secrets.contains(&secret) { 200 } else { 401 };
        assert_eq!(status, expected, "a token under {secret}");
    }
    let caller = ada(app, secrets[0]);
    for (secret, page) in pages {
        let answer = caller.get(page);
        let expected = if secrets.contains(secret) { 200 } else { 400 };
        assert_eq!(answer.status, expected, "a cursor under {secret}: {answer}");
        if expected == 200 {
            let titles: Vec<Value> = answer.json().as_array().unwrap().clone();
            assert_eq!(titles[0]["title"], "task 2");
        }
    }
}

#[rstest]
fn a_secret_is_rotated_in_two_steps_without_signing_users_out(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let (both, reversed) = (format!("1:{OLD},2:{NEW}"), format!(" 2 : {NEW} , 1:{OLD}"));
    // Each process is stopped before the next one starts, because only one process may use a SQLite database.
    let app = service(&database, OLD, "");
    for number in 0..5 {
        ada(&app, OLD).has_task(&format!("task {number}"));
    }
    let old_page = next_page(&ada(&app, OLD));
    assert_accepts(&app, &[(OLD, old_page.as_str())], &[OLD]);
    drop(app);

    // During the rotation, the old secret stays in `BETTER_AUTH_SECRET`, as Better Auth requires.
    let app = service(&database, OLD, &both);
    let page = next_page(&ada(&app, NEW));
    assert_eq!(page, old_page, "the old secret should still sign");
    assert_accepts(&app, &[(OLD, old_page.as_str())], &[OLD, NEW]);
    drop(app);

    let app = service(&database, OLD, &reversed);
    let new_page = next_page(&ada(&app, OLD));
    assert_ne!(new_page, old_page, "the new secret should sign");
    let pages = [(OLD, old_page.as_str()), (NEW, new_page.as_str())];
    assert_accepts(&app, &pages, &[NEW, OLD]);
    drop(app);

    let app = service(&database, "", &format!("2:{NEW}"));
    assert_accepts(&app, &pages, &[NEW]);
}

#[rstest]
fn a_printed_token_is_signed_with_the_first_secret(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("2:{NEW},1:{OLD}");
    let environment = [
        ("DATABASE_URL", &*database.url),
        ("BETTER_AUTH_SECRETS", list.as_str()),
    ];
    let printed = run(folder.path(), &environment, &["token", "ada"]).expect_success();
    let app = service(&database, NEW, "");
    app.anonymous()
        .with_token(printed.stdout.trim())
        .get("/api/tasks")
        .expect(200);
}

#[rstest]
fn commands_that_sign_nothing_need_no_secret(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", &*database.url), ("PORT", "9")];
    run(folder.path(), &environment, &["migrate"]).expect_success();
    assert_eq!(database.value("SELECT count(*) FROM tasks").as_deref(), Some("0"));
    let unwell = run(folder.path(), &environment, &["healthcheck"]);
    assert!(!unwell.stderr.contains("SECRET"), "{}", unwell.stderr);
}

#[test]
fn commands_that_only_read_create_no_secret() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let checked = run(folder.path(), &[], &["check-config"]).expect_success();
    assert!(
        checked.stdout.contains("data/todo.db.secret"),
        "{}",
        checked.stdout
    );
    run(folder.path(), &[("PORT", "9")], &["healthcheck"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // `check-config` must still report that a service on PostgreSQL would not start without a secret.
    let environment = [("DATABASE_URL", "postgres://localhost/todo")];
    let checked = run(folder.path(), &environment, &["check-config"]);
    assert!(
        !checked.success && checked.stderr.contains("BETTER_AUTH_SECRET"),
        "{}",
        checked.stderr
    );
}
