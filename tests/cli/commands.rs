//! `check-config`, `healthcheck`, `migrate`, unknown commands, `--version` and `--help`.

use std::fs;
use std::sync::Arc;

use rstest::rstest;

use crate::support::app::{Builder, SECRET};
use crate::support::cli::run;
use crate::support::database::DATABASE_PASSWORD;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

#[rstest]
fn check_config_prints_the_effective_settings_without_secrets(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("DATABASE_URL", &*database.url),
        ("BETTER_AUTH_SECRET", SECRET),
        ("BETTER_AUTH_URL", "https://todo.example"),
        (
            "BETTER_AUTH_JWKS_URL",
            "https://hunter1:hunter2@keys.example/jwks?token=hunter3",
        ),
        ("PORT", "8123"),
        ("DATABASE_POOL_SIZE", "13"),
    ];
    let outcome = run(folder.path(), &environment, &["check-config"]).expect_success();
    for shown in [
        "https://todo.example",
        "@keys.example/jwks",
        "\nPORT=8123\n",
        "\nDATABASE_POOL_SIZE=13\n",
        "DATABASE_URL",
        "BETTER_AUTH_SECRET",
    ] {
        assert!(outcome.stdout.contains(shown), "{shown}: {}", outcome.stdout);
    }
    let everything = outcome.everything();
    assert!(!everything.contains(SECRET), "{everything}");
    assert!(!everything.contains(DATABASE_PASSWORD), "{everything}");
    assert!(!everything.contains("hunter"), "{everything}");
    // The output must identify the database: the end of the URL is the name of the database or of its file.
    let place = database.url.rsplit('/').next().unwrap();
    assert!(outcome.stdout.contains(place), "{}", outcome.stdout);
}

#[rstest]
fn healthcheck_succeeds_only_while_the_service_runs(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let port = app.base_url().rsplit(':').next().unwrap().to_owned();
    let url = app.url.clone();
    let folder = tempfile::tempdir().unwrap();
    let healthy = || {
        let environment = [
            ("DATABASE_URL", url.as_str()),
            ("BETTER_AUTH_SECRET", SECRET),
            ("PORT", port.as_str()),
        ];
        run(folder.path(), &environment, &["healthcheck"]).success
    };
    assert!(healthy());
    app.stop();
    assert!(!healthy());
}

#[rstest]
fn migrate_creates_the_tables_and_can_be_repeated(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", &*database.url), ("BETTER_AUTH_SECRET", SECRET)];
    for _ in 0..2 {
        run(folder.path(), &environment, &["migrate"]).expect_success();
        assert_eq!(database.value("SELECT count(*) FROM tasks").as_deref(), Some("0"));
        assert_eq!(database.value("SELECT count(*) FROM users").as_deref(), Some("0"));
    }
    let app = Builder::on(database).start();
    app.user("ada").has_task("Buy milk");
}

#[test]
fn an_empty_environment_has_the_documented_defaults() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(folder.path(), &[], &["check-config"]).expect_success();
    for default in [
        "sqlite://data/todo.db",
        "http://localhost:3000",
        "http://localhost:3000/api/auth/jwks",
        "127.0.0.1",
        "\nPORT=8000\n",
        "\nDATABASE_POOL_SIZE=8\n",
        "\nDATABASE_ACQUIRE_TIMEOUT_MS=2000\n",
        "\nDATABASE_STATEMENT_TIMEOUT_MS=5000\n",
        "text",
        "info",
    ] {
        assert!(outcome.stdout.contains(default), "{default}: {}", outcome.stdout);
    }
}

#[test]
fn unknown_commands_and_options_are_refused() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    for wrong in [&["surve"][..], &["token"], &["--unknown"], &["migrate", "extra"]] {
        let outcome = run(folder.path(), &[], wrong);
        assert!(!outcome.success, "{wrong:?}");
        assert!(!outcome.stderr.is_empty(), "{wrong:?}");
    }
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 0, "a wrong command should create no files");
}

#[test]
fn version_and_help_are_printed() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let version = run(folder.path(), &[], &["--version"]).expect_success();
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.stdout
    );
    let help = run(folder.path(), &[], &["--help"]).expect_success();
    for command in [
        "token",
        "migrate",
        "check-config",
        "healthcheck",
        "export",
        "erase",
        "backup",
    ] {
        assert!(help.stdout.contains(command), "{command}: {}", help.stdout);
    }
}
