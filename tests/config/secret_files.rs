//! Secrets from files, as Docker and Kubernetes provide them, and `DATABASE_PASSWORD`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use super::wrong_values::assert_refused;
use crate::support::app::{Builder, SECRET};
use crate::support::cli::run;
use crate::support::own_postgres::OwnPostgres;
use crate::support::token::{hs256, now};
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn assert_verifies_with(app: &TestApp, secret: &str) {
    let claims = json!({ "sub": "ada", "iat": now(), "exp": now() + 900 });
    let ada = app.anonymous().with_token(&hs256(&claims, secret));
    ada.get("/api/tasks").expect(200);
}

#[rstest]
fn each_secret_can_come_from_a_file(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(OwnDatabase::create(db));
    let url = file(&folder, "url", &format!("{}\n", database.url));
    let other = "another secret that is long enough, and another";
    for (variable, text, secret) in [
        (
            "BETTER_AUTH_SECRET_FILE",
            format!("{SECRET}\n"),
            SECRET.to_owned(),
        ),
        ("BETTER_AUTH_SECRET_FILE", SECRET.to_owned(), SECRET.to_owned()),
        // Only one line break at the end is removed. All other white space belongs to the secret.
        (
            "BETTER_AUTH_SECRET_FILE",
            format!(" {other} \n\n"),
            format!(" {other} \n"),
        ),
        (
            "BETTER_AUTH_SECRET_FILE",
            format!("{other}\r\n"),
            other.to_owned(),
        ),
        (
            "BETTER_AUTH_SECRET_FILE",
            format!("{other}\r"),
            format!("{other}\r"),
        ),
        (
            "BETTER_AUTH_SECRETS_FILE",
            "2:a-new-secret-that-is-long-enough-here,1:an-old-secret-that-is-long-enough-here\n".to_owned(),
            "an-old-secret-that-is-long-enough-here".to_owned(),
        ),
    ] {
        let app = Builder::on(Arc::clone(&database))
            .env("DATABASE_URL", "")
            .env("DATABASE_URL_FILE", &url)
            .env("BETTER_AUTH_SECRET", "")
            .env(variable, &file(&folder, "secret", &text))
            .start();
        assert_verifies_with(&app, &secret);
        let users = database.value("SELECT count(*) FROM users WHERE id = 'ada'");
        assert_eq!(
            users.as_deref(),
            Some("1"),
            "the user should be in the database that the file names"
        );
    }
}

#[rstest]
fn both_forms_of_one_secret_stop_the_start(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let secret = file(&folder, "secret", SECRET);
    let database_url = file(&folder, "url", &database.url);
    for (variable, inside, outside) in [
        ("BETTER_AUTH_SECRET_FILE", SECRET, &secret),
        ("DATABASE_URL_FILE", database.url.as_str(), &database_url),
        ("DATABASE_PASSWORD_FILE", "p", &secret),
        ("BETTER_AUTH_SECRETS_FILE", "1:s", &secret),
    ] {
        // Both forms are set in three ways: the first in `.env` and the second in the environment, the other way
        // round, and both in the environment.
        let direct = variable.trim_end_matches("_FILE");
        let both = [(direct, inside), (variable, outside.as_str())];
        for (in_file, around) in [
            (&both[..1], &both[1..]),
            (&both[1..], &both[..1]),
            (&both[..0], &both[..]),
        ] {
            let lines = in_file.iter().map(|(name, value)| format!("{name}='{value}'\n"));
            fs::write(folder.path().join(".env"), lines.collect::<String>()).unwrap();
            assert_refused(variable, "", &run(folder.path(), around, &[]));
        }
    }
}

#[rstest]
fn a_file_that_cannot_be_used_stops_the_start(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    fs::write(&binary, [0xff; 40]).unwrap();
    let large = file(&folder, "large", &"x".repeat(100_000));
    let short = file(&folder, "short", "too short\n");
    for path in [
        "/nonexistent/secret",
        "/",
        binary.to_str().unwrap(),
        &large,
        &short,
    ] {
        let environment = [
            ("DATABASE_URL", &*database.url),
            ("BETTER_AUTH_SECRET_FILE", path),
        ];
        let outcome = run(folder.path(), &environment, &[]);
        assert_refused("BETTER_AUTH_SECRET_FILE", "", &outcome);
        assert!(
            !outcome.everything().contains("too short"),
            "{}",
            outcome.everything()
        );
    }
}

#[rstest]
fn an_empty_file_counts_as_unset(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let empty = file(&folder, "empty", "\n");
    let environment = [
        ("DATABASE_URL", &*database.url),
        ("BETTER_AUTH_SECRET_FILE", empty.as_str()),
        ("BETTER_AUTH_SECRETS_FILE", empty.as_str()),
        ("DATABASE_PASSWORD_FILE", empty.as_str()),
    ];
    let outcome = run(folder.path(), &environment, &["check-config"]);
    match db {
        Database::Sqlite => {
            let said = outcome.expect_success().stdout;
            assert!(said.contains("todo.db.secret"), "{said}");
        }
        Database::Postgres => assert_refused("BETTER_AUTH_SECRET", "", &outcome),
    }
}

const PASSWORD: &str = "p@ss/w:o?r#d% &+=ü'\"\\";

fn migrate(folder: &Path, url: &str, further: &[(&str, &str)]) -> bool {
    let mut environment = vec![("DATABASE_URL", url), ("DATABASE_ACQUIRE_TIMEOUT_MS", "3000")];
    environment.extend(further);
    let outcome = run(folder, &environment, &["migrate"]);
    assert!(!outcome.everything().contains("p@ss"), "{}", outcome.everything());
    assert!(
        !outcome.everything().contains("p%40ss"),
        "{}",
        outcome.everything()
    );
    outcome.success
}

#[test]
fn the_database_password_can_be_given_in_each_documented_way() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let mut server = OwnPostgres::prepare();
    server.require_password_of("todo");
    server.start_again();
    let database = server.database();
    database.execute(&format!(
        "CREATE ROLE todo SUPERUSER LOGIN PASSWORD $p${PASSWORD}$p$"
    ));
    let of = |password: &str| format!("postgres://todo{password}@127.0.0.1:{}/postgres", server.port);
    let path = file(&folder, "password", &format!("{PASSWORD}\n"));

    for given in [
        ("DATABASE_PASSWORD", PASSWORD),
        ("DATABASE_PASSWORD_FILE", path.as_str()),
        ("PGPASSWORD", PASSWORD),
    ] {
        assert!(migrate(folder.path(), &of(""), &[given]), "{given:?}");
    }
    assert!(
        !migrate(folder.path(), &of(""), &[]),
        "the server should require the password"
    );
    // `DATABASE_PASSWORD` takes precedence over the password in the URL, which takes precedence over `PGPASSWORD`.
    let given = ("DATABASE_PASSWORD", PASSWORD);
    assert!(migrate(folder.path(), &of(":wrong"), &[given]));
    assert!(migrate(folder.path(), &of(""), &[("PGPASSWORD", "wrong"), given]));
    assert!(!migrate(
        folder.path(),
        &of(":wrong"),
        &[("PGPASSWORD", PASSWORD)]
    ));
    let elsewhere = format!(
        "postgres://127.0.0.1:{}/postgres?user=todo&password=wrong",
        server.port
    );
    assert!(migrate(folder.path(), &elsewhere, &[given]));
}
