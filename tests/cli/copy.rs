//! `copy`, from a database of the test's kind to a database of the other kind. Each test runs for both kinds.

use std::fs;

use rstest::rstest;
use serde_json::json;

use super::data::{count, run_on};
use crate::support::app::Builder;
use crate::support::cli::{Outcome, run};
use crate::support::task::id;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

/// The number of rows that [`fill`] inserts into each table. `copy` reads them in three batches.
const ROWS: i64 = 6_000;

fn other(db: Database) -> OwnDatabase {
    OwnDatabase::create(match db {
        Database::Sqlite => Database::Postgres,
        Database::Postgres => Database::Sqlite,
    })
}

fn copy(from: &OwnDatabase, to: &OwnDatabase) -> Outcome {
    run_on(from, &["copy", "--to", &to.url])
}

/// Returns every row of `users`, `tasks` and `idempotency_keys`, in a format that is the same for both kinds of
/// databases.
fn rows(database: &OwnDatabase) -> Vec<Option<String>> {
    let postgres = database.kind == Database::Postgres;
    let bytes = |column: &str| match postgres {
        true => format!("encode({column}, 'hex')"),
        false => format!("lower(hex({column}))"),
    };
    let time = |column: &str| match postgres {
        true => format!(r#"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#),
        false => column.to_owned(),
    };
    let number = |column: &str| format!("CAST({column} AS bigint)");
    let joined = |columns: &[String]| {
        let columns = columns
            .iter()
            .map(|column| format!("coalesce(CAST({column} AS text), 'null')"));
        columns.collect::<Vec<_>>().join(" || '|' || ")
    };
    let text = str::to_owned;
    let users = joined(&[
        text("id"),
        text("email"),
        text("name"),
        time("created_at"),
        number("claims_issued_at"),
    ]);
    let tasks = joined(&[
        text("id"),
        text("user_id"),
        text("title"),
        text("description"),
        text("CASE WHEN completed THEN 'yes' ELSE 'no' END"),
        time("due_date"),
        time("created_at"),
        time("updated_at"),
        text("version"),
        bytes("title_key"),
        text("keyed_title"),
    ]);
    let keys = joined(&[
        text("user_id"),
        text("key"),
        bytes("fingerprint"),
        text("task_id"),
        bytes("answer"),
        time("created_at"),
    ]);
    let mut rows = database.values(&format!(
        "SELECT {users} FROM users UNION ALL SELECT {tasks} FROM tasks UNION ALL SELECT {keys} FROM idempotency_keys"
    ));
    rows.sort();
    rows
}

/// Returns the definitions of the indexes. Those of SQLite do not include the indexes that SQLite creates itself.
fn indexes(database: &OwnDatabase) -> Vec<Option<String>> {
    let mut definitions = database.values(match database.kind {
        Database::Postgres => "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        Database::Sqlite => {
            "SELECT name || ': ' || sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        }
    });
    definitions.sort();
    definitions
}

/// Adds [`ROWS`] users, tasks and idempotency keys to those that the service created.
fn fill(database: &OwnDatabase) {
    let numbers =
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})");
    let bytes = match database.kind {
        Database::Postgres => "'\\x00ff'",
        Database::Sqlite => "x'00ff'",
    };
    let first = database.value("SELECT max(id) FROM tasks").unwrap();
    database.execute(&format!(
        "{numbers} INSERT INTO users (id, email) SELECT 'user ' || i, i || '@example.com' FROM n"
    ));
    database.execute(&format!(
        "{numbers} INSERT INTO tasks (id, user_id, title, version) \
         SELECT {first} + i * 3, 'user ' || (i / 2 + 1), 'title ' || i, i FROM n"
    ));
    database.execute(&format!(
        "{numbers} INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, answer) \
         SELECT 'user ' || (i / 2 + 1), 'key ' || i, {bytes}, i, {bytes} FROM n"
    ));
}

#[rstest]
fn a_copy_preserves_every_row_and_the_service_can_use_it(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    let create = |title: &str| format!("{{\"title\": \"{title}\", \"due_date\": \"2026-05-01\"}}");
    let first = ada.request("POST", "/api/tasks", &headers, create("éclair").as_bytes());
    let first = first.expect(201);
    ada.creates(json!({ "title": "Zebra", "description": "d", "completed": true }));
    ada.patch(&format!("/api/tasks/{}/complete", id(&first.json())))
        .expect(200);
    fill(&app);
    let highest: i64 = app.value("SELECT max(id) FROM tasks").unwrap().parse().unwrap();
    // A task with this id is inserted and deleted, so the target must not assign the id again.
    let used = highest + 1_000;
    app.execute(&format!(
        "INSERT INTO tasks (id, user_id, title) VALUES ({used}, '{}', 'gone')",
        ada.id
    ));
    if db == Database::Postgres {
        app.value(&format!("SELECT setval('tasks_id_seq', {used})"));
    }
    app.execute(&format!("DELETE FROM tasks WHERE id = {used}"));

    let target = other(db);
    run_on(&target, &["migrate"]).expect_success();
    let migrated = indexes(&target);
    assert!(migrated.len() >= 6, "{migrated:?}");
    // `DATABASE_PASSWORD` belongs to `DATABASE_URL` and not to the target. The tests' server ignores passwords, so this
    // shows only that the variable causes no error.
    let mut environment = vec![("DATABASE_URL", &*app.url)];
    if db == Database::Sqlite {
        environment.push(("DATABASE_PASSWORD", "of another server"));
    }
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), &environment, &["copy", "--to", &target.url]).expect_success();
    assert!(said.stdout.contains("6002 tasks"), "{}", said.stdout);
    assert_eq!(said.stderr, "", "without a terminal, no progress should be shown");
    let copied = rows(&target);
    assert_eq!(copied.len() as i64, 3 * ROWS + 4);
    for (there, here) in copied.iter().zip(&rows(&app)) {
        assert_eq!(there, here);
    }
    assert_eq!(indexes(&target), migrated);

    let there = Builder::on(target.into()).start();
    let ada_there = ada.at(there.target());
    let again = ada_there.request("POST", "/api/tasks", &headers, create("éclair").as_bytes());
    assert_eq!(again.expect(201).text(), first.text());
    assert_eq!(ada_there.titles("/api/tasks?sort=title"), ["éclair", "Zebra"]);
    // On PostgreSQL, the repeated request with the idempotency key may have used up one id.
    let new = id(&ada_there.has_task("new"));
    assert!((used + 1..=used + 2).contains(&new), "{new} after {used}");
}

#[rstest]
fn both_databases_can_be_given_and_an_empty_one_can_be_copied(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let (source, target, folder) = (OwnDatabase::create(db), other(db), tempfile::tempdir().unwrap());
    run_on(&source, &["migrate"]).expect_success();
    let sides = ["copy", "--from", &source.url, "--to", &target.url];
    run(folder.path(), &[], &sides).expect_success();
    let there = Builder::on(target.into()).start();
    assert_eq!(id(&there.user("ada").has_task("the first")), 1);
}

#[rstest]
fn a_copy_keeps_existing_users_of_the_target(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let (here, there) = (
        TestApp::builder(db).start(),
        Builder::on(other(db).into()).start(),
    );
    let (ada, bob) = (here.user("ada"), here.user("bob"));
    ada.has_task("hers");
    bob.has_task("his");
    ada.at(there.target()).get("/api/tasks").expect(200);
    there.execute("UPDATE users SET name = 'newer'");
    there.execute(&format!(
        "INSERT INTO users (id, email) VALUES ('somebody', '{}')",
        bob.email
    ));
    copy(&here, &there).expect_success();
    let user = |column: &str, id: &str| there.value(&format!("SELECT {column} FROM users WHERE id = '{id}'"));
    assert_eq!(user("name", &ada.id).as_deref(), Some("newer"));
    assert_eq!(user("email", &bob.id), None, "the email belongs to another row");
    assert_eq!(user("name", &bob.id), Some(bob.name.clone()));
    assert_eq!(bob.at(there.target()).titles("/api/tasks"), ["his"]);
}

#[rstest]
fn a_failed_copy_leaves_the_target_empty(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    app.user("ada").has_task("first");
    fill(&app);
    // The task with the highest id, which is in the last batch, belongs to a user who does not exist.
    app.execute(match db {
        Database::Postgres => "ALTER TABLE tasks DROP CONSTRAINT tasks_user_id_fkey",
        Database::Sqlite => "SELECT 1",
    });
    let orphan = "INSERT INTO tasks (id, user_id, title) VALUES (9999999, 'nobody', 'orphan')";
    match db {
        Database::Postgres => app.execute(orphan),
        Database::Sqlite => app.execute(&format!("PRAGMA foreign_keys = OFF; {orphan}")),
    }
    let target = other(db);
    let outcome = copy(&app, &target);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("users"), "{}", outcome.stderr);
    assert_eq!(rows(&target), []);
}

#[rstest]
fn a_target_with_tasks_or_with_better_auths_table_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let here = TestApp::builder(db).start();
    here.user("ada").has_task("hers");
    let there = Builder::on(other(db).into()).start();
    let eve = there.user("eve");
    eve.has_task("in the way");
    let before = rows(&there);
    let outcome = copy(&here, &there);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("has tasks"), "{}", outcome.stderr);
    assert_eq!(rows(&there), before);
    there.execute("DELETE FROM tasks");
    there.execute("ALTER TABLE users ADD COLUMN \"emailVerified\" boolean");
    let outcome = copy(&here, &there);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("Better Auth"), "{}", outcome.stderr);
    assert_eq!(count(&there, "tasks", "1 = 1"), "0");
}

#[rstest]
fn a_source_may_have_better_auths_table_and_an_older_schema(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let here = TestApp::builder(db).start();
    let ada = here.user("ada");
    ada.has_task("hers");
    here.execute("ALTER TABLE users DROP COLUMN claims_issued_at");
    here.execute("ALTER TABLE users ADD COLUMN email_verified boolean");
    let there = Builder::on(other(db).into()).start();
    copy(&here, &there).expect_success();
    assert_eq!(ada.at(there.target()).titles("/api/tasks"), ["hers"]);
}

#[test]
fn invalid_arguments_are_reported_before_anything_is_created() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let url = "sqlite://here.db";
    for (arguments, code, said) in [
        (&["copy"][..], 2, "--from"),
        (&["copy", "--to", url], 1, "the same database"),
        (&["copy", "--to", "sqlite://there.db"], 1, "no file here.db"),
        (
            &["copy", "--from", "mysql://there/db"],
            1,
            "--from: must start with",
        ),
    ] {
        let outcome = run(folder.path(), &[("DATABASE_URL", url)], arguments);
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
