//! The service refuses a database whose encoding is not UTF8. Otherwise, some requests would fail because
//! they contain characters that the database cannot store.

use std::sync::Arc;

use crate::support::app::{Builder, SECRET};
use crate::support::cli::run;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::{OwnDatabase, wait};
use std::time::Duration;

fn database_with(encoding: &str) -> Arc<OwnDatabase> {
    let options = format!("ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    Arc::new(OwnDatabase::postgres_with(&options))
}

fn assert_has_no_tables(database: &OwnDatabase) {
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.value(tables).as_deref(), Some("0"));
}

#[track_caller]
fn stops_the_start(encoding: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("DATABASE_URL", url),
        ("BETTER_AUTH_SECRET", SECRET),
        ("PORT", "0"),
    ];
    let outcome = run(folder.path(), &environment, &[]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.everything());
    assert!(outcome.stderr.contains("UTF8"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(encoding), "{}", outcome.stderr);
}

#[test]
fn a_database_with_another_encoding_than_utf8_stops_the_start() {
    skip_at_a_deployment!();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = database_with(encoding);
        stops_the_start(encoding, &database.url);
        assert_has_no_tables(&database);
    }
}

#[test]
fn a_latin1_database_behind_a_pooler_stops_the_start() {
    skip_at_a_deployment!();
    let database = database_with("LATIN1");
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
    stops_the_start("LATIN1", &pooler.url(database.name()));
    assert_has_no_tables(&database);
}

#[test]
fn a_latin1_database_that_can_be_reached_later_never_becomes_ready() {
    skip_at_a_deployment!();
    let database = database_with("LATIN1");
    let refuse = format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name());
    Cluster::get().connect("postgres").batch_execute(&refuse).unwrap();
    let app = Builder::on(Arc::clone(&database))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "1000")
        .without_its_database()
        .start();
    let retries = || app.log().contains("trying again").then_some(());
    wait::until(Duration::from_secs(10), retries).unwrap_or_else(|| panic!("{}", app.log()));
    let allow = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", database.name());
    Cluster::get().connect("postgres").batch_execute(&allow).unwrap();
    let says = || app.log().contains("UTF8").then_some(());
    wait::until(Duration::from_secs(10), says).unwrap_or_else(|| panic!("{}", app.log()));
    app.anonymous().get("/readyz").assert_unavailable();
    app.user("ada").get("/api/tasks").assert_unavailable();
    assert_has_no_tables(&database);
}
