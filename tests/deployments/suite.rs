//! Runs the API suite against a deployment with three replicas and a pooler. The test starts this test program
//! again, with the variables that `support/deployment.rs` documents. The suite runs only once, with replicas
//! and pooler together, because it takes a long time.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::distributable::assert_distributable;
use super::replicas;
use crate::support::cluster::Cluster;
use crate::support::deployment::NOT_HERE;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::process::Process;
use crate::support::{Database, OwnDatabase, TestApp, cli, statements, wait};

#[test]
fn the_whole_api_suite_passes_at_three_replicas_behind_a_pooler_and_each_statement_is_about_one_user() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    statements::record(&database);
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
    let url = pooler.url(database.name());
    // The migrations also run through the pooler. Their statements are not checked.
    let folder = tempfile::tempdir().unwrap();
    cli::run(folder.path(), &[("DATABASE_URL", &url)], &["migrate"]).expect_success();
    let before = statements::recorded(&database).len();
    // The replicas have more connections than the pooler has to the server. If one replica left state behind in a
    // session, the other replicas would therefore find it.
    let replicas = replicas(3, &database, &url);
    for replica in &replicas {
        let said = || {
            let detected = replica.log().contains("connection pooler detected");
            detected.then_some(())
        };
        wait::until(Duration::from_secs(5), said).expect("the log should mention the pooler");
        replica.anonymous().get("/readyz").expect(200);
    }
    passes_at(&replicas);
    let mut recorded = statements::recorded(&database).split_off(before);
    recorded.retain(|statement| !statement.is_of_the_pooler());
    assert_distributable(&recorded);
}

/// The minimum number of tests that must pass. The suite has more tests than that. If fewer pass, many were skipped or
/// not selected by mistake.
const MIN_TESTS: usize = 180;

/// Runs the API suite, which sends each request to a random one of these replicas, and checks that it passes.
#[track_caller]
fn passes_at(replicas: &[TestApp]) {
    let base_urls: Vec<&str> = replicas.iter().map(TestApp::base_url).collect();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(env::current_exe().unwrap());
    // Most test cases exist once for each kind of database, and only those for PostgreSQL are selected. With two
    // threads, processor time remains for the tests of the outer run.
    command.args(["_Postgres", "--show-output", "--test-threads=2"]);
    command
        .env("TODO_BASE_URL", base_urls.join(","))
        .env("TODO_SECRET", replicas[0].secret())
        .env("TODO_DATABASE_URL", replicas[0].back_door());
    let mut process = Process::spawn(command);
    let status = process.wait(Duration::from_mins(10));
    let said = process.output().stdout;
    let failures = said
        .split_once("\nfailures:\n")
        .map_or("", |(_, failures)| failures);
    assert!(
        status.is_some_and(|status| status.success()),
        "the API suite failed: {status:?}\n{failures}"
    );
    let skipped = said.lines().filter(|line| line.starts_with(NOT_HERE)).count();
    let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count() - skipped;
    println!("{passed} tests passed");
    assert!(passed >= MIN_TESTS, "only {passed} tests ran");
}
