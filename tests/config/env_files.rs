//! The file `.env`, which the service loads, and `.env.example`, which documents the variables.

use std::fs;

use rstest::rstest;

use super::wrong_values::assert_refused;
use crate::support::app::SECRET;
use crate::support::cli::run;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite};

/// The variables of the service, without the obsolete `DATABASE_PREPARED_STATEMENTS`. The service also reads variables
/// of libpq and systemd.
const VARIABLES: [&str; 22] = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "DATABASE_PASSWORD",
    "DATABASE_PASSWORD_FILE",
    "BETTER_AUTH_SECRET",
    "BETTER_AUTH_SECRET_FILE",
    "BETTER_AUTH_SECRETS",
    "BETTER_AUTH_SECRETS_FILE",
    "BETTER_AUTH_URL",
    "BETTER_AUTH_JWKS_URL",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "CORS_ALLOWED_ORIGINS",
    "HOST",
    "PORT",
    "DATABASE_POOL_SIZE",
    "DATABASE_ACQUIRE_TIMEOUT_MS",
    "DATABASE_STATEMENT_TIMEOUT_MS",
    "RATE_LIMIT_PER_MINUTE",
    "METRICS_ADDR",
    "LOG_FORMAT",
    "RUST_LOG",
];

#[rstest]
fn an_env_file_is_loaded_and_the_real_environment_wins(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "# a comment\nDATABASE_URL={}\nBETTER_AUTH_SECRET=\"{SECRET}\"\nPORT=8111\n\
         BETTER_AUTH_URL=https://from-the-file.example\n",
        database.url,
    );
    fs::write(folder.path().join(".env"), file).unwrap();
    let outcome = run(folder.path(), &[("PORT", "8222")], &["check-config"]).expect_success();
    assert!(
        outcome.stdout.contains("https://from-the-file.example"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("\nPORT=8222\n"), "{}", outcome.stdout);
    assert!(!outcome.everything().contains(SECRET));

    // An invalid value in the file must stop the start, as an invalid value in the environment does.
    fs::write(folder.path().join(".env"), "LOG_FORMAT=xml\n").unwrap();
    let outcome = run(folder.path(), &[("PORT", "0")], &[]);
    assert_refused("LOG_FORMAT", "xml", &outcome);
}

#[test]
fn the_example_contains_every_variable_and_no_credential() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    let example = fs::read_to_string(path).expect(".env.example should exist in the root of the repository");
    for variable in VARIABLES {
        // The variable must be on a line of its own, which may be commented out.
        let named = example.lines().any(|line| {
            line.trim_start_matches(['#', ' '])
                .starts_with(&format!("{variable}="))
        });
        assert!(named, "{variable} is missing");
    }
    let secret = example
        .lines()
        .find_map(|line| line.strip_prefix("BETTER_AUTH_SECRET="));
    let secret = secret.unwrap_or_default().trim_matches('"');
    assert!(
        secret.len() < 32,
        "the example contains a usable secret: {secret}"
    );
}
