//! Runs the API suite against a deployment. It starts this test program again in the way that a developer
//! runs it against an existing deployment (`support/deployment.rs`).

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::support::TestApp;
use crate::support::deployment::NOT_HERE;
use crate::support::process::Process;

/// A lower bound for the number of tests that must run. The suite has more; with fewer, something prevented
/// them from running.
const MIN_TESTS: usize = 180;

/// Runs the API suite, which sends each request to a random one of these processes. All of them use the same
/// database.
#[track_caller]
pub fn passes_at(replicas: &[TestApp]) {
    let base_urls: Vec<&str> = replicas.iter().map(TestApp::base_url).collect();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(env::current_exe().unwrap());
    // Each case exists for each kind of database, and a deployment has only one. Two threads leave processor
    // time for the tests of the outer run.
    command.args(["::postgres", "--show-output", "--test-threads=2"]);
    command
        .env("TODO_BASE_URL", base_urls.join(","))
        .env("TODO_SECRET", replicas[0].secret())
        .env("TODO_DATABASE_URL", replicas[0].back_door());
    let mut process = Process::spawn(command);
    let status = process.wait(Duration::from_secs(600));
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
