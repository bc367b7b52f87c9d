//! An invalid value of a variable stops the start immediately, with a message that names the variable.

use std::fs;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::app::SECRET;
use crate::support::cli::{Outcome, run};
use crate::support::database::DATABASE_PASSWORD;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

const WRONG: &[(&str, &str)] = &[
    ("DATABASE_URL", "postgres://todo:a blank@localhost/todo"),
    ("DATABASE_URL", "postgres://localhost/todo?connect_timeout=soon"),
    ("DATABASE_URL", "postgres://localhost/todo?port=99999"),
    ("DATABASE_URL", "postgres://localhost:0/todo"),
    ("DATABASE_URL", "postgres://a,b/todo?port=1,2,3"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?hostaddr=127.0.0.1,127.0.0.2",
    ),
    ("DATABASE_URL", "postgres://localhost/todo?tcp_user_timeout=-1"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?target_session_attrs=prefer-standby",
    ),
    ("DATABASE_URL", "postgres://localhost/todo?sslmode=allow"),
    ("DATABASE_URL", "postgres://localhost/todo?sslmode=Require"),
    ("DATABASE_URL", "postgres://localhost/todo?sslmode=verify-ca"),
    ("DATABASE_URL", "postgres://localhost/todo?sslcert=client.crt"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?sslmode=disable&sslnegotiation=direct",
    ),
    ("DATABASE_URL", "postgres://localhost/todo?password=a&hunter2"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?scram_client_key=hunter2",
    ),
    ("DATABASE_URL", "postgres:///todo"),
    ("DATABASE_URL", "postgres://"),
    ("DATABASE_URL", "postgres://todo:hunter2@x@localhost/todo"),
    ("DATABASE_URL", "postgres://todo:hunter2#x@localhost/todo"),
    ("DATABASE_URL", "postgres://todo:hunter2%x@localhost/todo"),
    ("DATABASE_URL", "postgres://todo:%00@localhost/todo"),
    ("DATABASE_URL", "postgres://localhost/todo\n"),
    ("DATABASE_URL", "sqlite:todo.db"),
    ("DATABASE_URL", "sqlite:// "),
    ("DATABASE_URL", "sqlite://:memory:"),
    ("DATABASE_URL", "sqlite://file:todo.db"),
    ("DATABASE_URL", "sqlite://sqlite://todo.db"),
    ("DATABASE_URL", "sqlite://todo.db?mode=ro"),
    ("DATABASE_URL", "sqlite://todo\n.db"),
    ("DATABASE_URL", "postgres://localhost/todo?sslmode"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?sslmode=require&sslrootcert=system",
    ),
    ("DATABASE_URL", "postgres://localhost/todo?sslmode=bogus"),
    ("DATABASE_URL", "postgres://localhost/todo?nonsense=1"),
    ("DATABASE_URL", "postgres://[::1/todo"),
    ("DATABASE_URL", "postgres://localhost/todo?sslnegotiation=direct"),
    (
        "DATABASE_URL",
        "postgres://localhost/todo?sslmode=disable&channel_binding=require",
    ),
    (
        "DATABASE_URL",
        "postgres://localhost,127.0.0.1/todo?channel_binding=bogus",
    ),
    ("BETTER_AUTH_URL", "http://localhost:3000,http://localhost:3001"),
    ("BETTER_AUTH_URL", "http://one,two"),
    ("DATABASE_URL", "mysql://root@localhost/todo"),
    ("DATABASE_URL", "http://localhost/todo"),
    ("DATABASE_URL", "postgres//localhost/todo"),
    ("DATABASE_URL", "postgres:/localhost/todo"),
    ("DATABASE_URL", "postgrs://localhost/todo"),
    ("DATABASE_URL", "postgres://localhost:port/todo"),
    ("DATABASE_URL", "file:todo.db"),
    ("DATABASE_URL", "todo.db"),
    ("DATABASE_URL", "sqlite://"),
    ("BETTER_AUTH_SECRET", "short-secret-of-31-bytes-123456"),
    ("BETTER_AUTH_SECRET", "s"),
    ("BETTER_AUTH_SECRET", PLACEHOLDER),
    ("BETTER_AUTH_SECRET", "better-auth-secret-12345678901234567890"),
    // This value is valid, but does not contain the value of `BETTER_AUTH_SECRET`, which is also set.
    ("BETTER_AUTH_SECRETS", "1:a-secret-that-is-long-enough-for-it"),
    ("BETTER_AUTH_SECRETS", "a-secret-that-is-long-enough-for-it"),
    ("BETTER_AUTH_SECRETS", "v1:a-secret-that-is-long-enough-for-it"),
    ("BETTER_AUTH_SECRETS", "1:short-secret-of-31-bytes-123456"),
    ("BETTER_AUTH_SECRETS", "1:a-secret-that-is-long-enough-for-it,"),
    ("BETTER_AUTH_SECRETS", ":a-secret-that-is-long-enough-for-it"),
    ("BETTER_AUTH_SECRETS", "-1:a-secret-that-is-long-enough-for-it"),
    ("BETTER_AUTH_SECRETS", "2:a-secret-that-is-long-enough-for-it,1:"),
    ("BETTER_AUTH_SECRETS", ","),
    ("BETTER_AUTH_SECRETS", " "),
    (
        "BETTER_AUTH_SECRETS",
        "1:a-secret-that-is-long-enough-for-it,01:another-secret-that-is-long-enough",
    ),
    (
        "BETTER_AUTH_SECRETS",
        "2:what the frontend has, at least 32 bytes",
    ),
    ("BETTER_AUTH_SECRETS", "2:better-auth-secret-12345678901234567890"),
    // This variable is refused because `BETTER_AUTH_SECRET` is also set.
    ("BETTER_AUTH_SECRET_FILE", "/dev/null"),
    ("BETTER_AUTH_SECRETS_FILE", "/nonexistent/secrets"),
    ("DATABASE_PASSWORD_FILE", "/"),
    ("DATABASE_URL_FILE", "/dev/null"),
    ("BETTER_AUTH_URL", "localhost:3000"),
    ("BETTER_AUTH_URL", "not a url"),
    ("BETTER_AUTH_URL", "ftp://localhost"),
    ("BETTER_AUTH_URL", "*"),
    ("BETTER_AUTH_JWKS_URL", "jwks"),
    ("BETTER_AUTH_JWKS_URL", "ftp://localhost/jwks"),
    ("BETTER_AUTH_JWKS_URL", "*"),
    ("JWT_ISSUER", "*"),
    ("JWT_AUDIENCE", "*"),
    ("JWT_ISSUER", "https://one.example,*"),
    ("JWT_ISSUER", "https://one.example,,https://two.example"),
    ("JWT_ISSUER", " "),
    ("JWT_AUDIENCE", "todo-api,"),
    ("JWT_AUDIENCE", ", todo-api"),
    ("CORS_ALLOWED_ORIGINS", "http://localhost:3000,"),
    ("CORS_ALLOWED_ORIGINS", "https://ada:hunter2@todo.example"),
    ("CORS_ALLOWED_ORIGINS", "https://ada:hunter2@todo.example:port"),
    ("CORS_ALLOWED_ORIGINS", "https://todo.example/hunter2"),
    (
        "CORS_ALLOWED_ORIGINS",
        "https://todo.example/?key=hunter2#hunter2",
    ),
    (
        "BETTER_AUTH_JWKS_URL",
        "https://ada:hunter2@keys.example:port/hunter2",
    ),
    ("BETTER_AUTH_URL", "ftp://ada:hunter2@keys.example/hunter2"),
    ("CORS_ALLOWED_ORIGINS", "*"),
    ("CORS_ALLOWED_ORIGINS", "http://localhost:3000, *"),
    ("CORS_ALLOWED_ORIGINS", "https://*.example"),
    ("CORS_ALLOWED_ORIGINS", "not an origin"),
    ("CORS_ALLOWED_ORIGINS", "localhost:3000"),
    ("HOST", "not a host"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "http"),
    ("PORT", "80.5"),
    ("DATABASE_POOL_SIZE", "0"),
    ("DATABASE_POOL_SIZE", "-1"),
    ("DATABASE_POOL_SIZE", "many"),
    ("DATABASE_ACQUIRE_TIMEOUT_MS", "soon"),
    ("DATABASE_ACQUIRE_TIMEOUT_MS", "-1"),
    ("DATABASE_ACQUIRE_TIMEOUT_MS", "2s"),
    ("DATABASE_STATEMENT_TIMEOUT_MS", "soon"),
    ("DATABASE_STATEMENT_TIMEOUT_MS", "-1"),
    ("DATABASE_PREPARED_STATEMENTS", "off"),
    ("RATE_LIMIT_PER_MINUTE", "lots"),
    ("RATE_LIMIT_PER_MINUTE", "-1"),
    ("METRICS_ADDR", "nine"),
    ("METRICS_ADDR", "127.0.0.1"),
    ("METRICS_ADDR", "127.0.0.1:99999"),
    ("LOG_FORMAT", "xml"),
    ("LOG_FORMAT", "JSONL"),
    ("RUST_LOG", "info,todo_backend=loud"),
];

/// The placeholder in the documentation of version 0.1.0. Deployments may have copied it.
const PLACEHOLDER: &str = "what the frontend has, at least 32 bytes";

/// Starts the service with a valid configuration in which these variables are replaced or added.
fn start_with(database: &OwnDatabase, changes: &[(&str, &str)]) -> Outcome {
    let mut environment = vec![
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("DATABASE_URL", &*database.url),
        ("BETTER_AUTH_SECRET", SECRET),
    ];
    for (name, value) in changes {
        // `DATABASE_URL` is removed if `DATABASE_URL_FILE` is set, because setting both is another error.
        let is_file = *name == "DATABASE_URL_FILE";
        environment.retain(|(other, _)| other != name && !(is_file && *other == "DATABASE_URL"));
        environment.push((name, value));
    }
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &environment, &[])
}

/// Checks that the start failed with one line that names `variable` and contains no secret.
#[track_caller]
pub fn assert_refused(variable: &str, value: &str, outcome: &Outcome) {
    let shown = outcome.everything();
    assert!(!outcome.success, "{variable}={value}: {shown}");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{variable}={value}: {shown}");
    assert!(lines[0].contains(variable), "{variable}={value}: {shown}");
    assert!(!shown.contains(SECRET), "{variable}={value}: {shown}");
    assert!(!shown.contains(DATABASE_PASSWORD), "{variable}={value}: {shown}");
    assert!(!shown.contains("hunter2"), "{variable}={value}: {shown}");
    if variable.starts_with("BETTER_AUTH_SECRET") && !variable.ends_with("_FILE") {
        for secret in value.split([',', ':']).filter(|part| part.len() > 1) {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[rstest]
fn every_invalid_value_stops_the_start_and_names_its_variable(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    for &(variable, value) in WRONG {
        let mut outcome = start_with(&database, &[(variable, value)]);
        assert_refused(variable, value, &outcome);
        // The refusal takes much less than a second. On a busy machine, another attempt may be necessary.
        for _ in 0..3 {
            if outcome.took < Duration::from_secs(1) {
                break;
            }
            outcome = start_with(&database, &[(variable, value)]);
        }
        assert!(outcome.took < Duration::from_secs(1), "{variable}={value}");
    }
}

#[rstest]
fn check_config_reports_every_invalid_value(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let good = [("DATABASE_URL", &*database.url), ("BETTER_AUTH_SECRET", SECRET)];
    for &(variable, value) in WRONG {
        let mut environment: Vec<_> = good.into_iter().filter(|(name, _)| *name != variable).collect();
        environment.push((variable, value));
        let outcome = run(folder.path(), &environment, &["check-config"]);
        assert!(!outcome.success, "{variable}={value}");
        assert!(
            outcome.stderr.contains(variable),
            "{variable}={value}: {}",
            outcome.stderr
        );
    }
}

#[rstest]
fn a_port_in_use_is_reported(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let port = app.base_url().rsplit(':').next().unwrap();
    let outcome = start_with(app.database(), &[("PORT", port)]);
    assert!(!outcome.success);
    assert!(outcome.stderr.contains(port), "{}", outcome.stderr);
    assert!(
        !outcome.everything().contains("panicked"),
        "{}",
        outcome.everything()
    );
    // With `LOG_FORMAT=json`, this error must also be a JSON object.
    let outcome = start_with(app.database(), &[("PORT", port), ("LOG_FORMAT", "json")]);
    let last = outcome.stderr.lines().last().unwrap();
    let last: Value = serde_json::from_str(last).expect("the last line should be JSON");
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(last["message"].as_str().unwrap().contains(port), "{last}");
}

#[test]
fn postgresql_needs_a_secret() {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(Database::Postgres);
    let folder = tempfile::tempdir().unwrap();
    for environment in [
        vec![("DATABASE_URL", &*database.url), ("PORT", "0")],
        vec![
            ("DATABASE_URL", &*database.url),
            ("PORT", "0"),
            ("BETTER_AUTH_SECRET", ""),
        ],
    ] {
        let outcome = run(folder.path(), &environment, &[]);
        assert_refused("BETTER_AUTH_SECRET", "", &outcome);
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "no secret should be created"
    );
}

#[test]
fn a_mistyped_url_leaves_no_file_behind() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    for (variable, url) in WRONG.iter().filter(|(variable, _)| *variable == "DATABASE_URL") {
        let environment = [(*variable, *url), ("BETTER_AUTH_SECRET", SECRET), ("PORT", "0")];
        assert!(!run(folder.path(), &environment, &[]).success, "{url}");
        assert!(!run(folder.path(), &environment, &["migrate"]).success, "{url}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
