//! The API suite, pointed at a deployment: this very program once more, as it is run by hand against a
//! deployment that is there already (`support/deployment.rs`).

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::support::TestApp;
use crate::support::deployment::NOT_HERE;
use crate::support::process::Process;

/// There are more; with fewer, something keeps them from running.
const AT_LEAST: usize = 180;

/// Sends each request of the API suite to a random one of these processes, which have one database.
#[track_caller]
pub fn passes_at(replicas: &[TestApp]) {
    let base_urls: Vec<&str> = replicas.iter().map(TestApp::base_url).collect();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(env::current_exe().unwrap());
    // Every case stands there for each kind of database, and a deployment has one. Other tests of the first
    // run go on meanwhile.
    command.args(["::postgres", "--show-output", "--test-threads=2"]);
    command
        .env("TODO_BASE_URL", base_urls.join(","))
        .env("TODO_SECRET", replicas[0].secret())
        .env("TODO_DATABASE_URL", replicas[0].back_door());
    let mut process = Process::spawn(command);
    let status = process.wait(Duration::from_secs(600));
    let said = process.said().stdout;
    let failures = said
        .split_once("\nfailures:\n")
        .map_or("", |(_, failures)| failures);
    assert!(
        status.is_some_and(|status| status.success()),
        "the API suite does not pass: {status:?}\n{failures}"
    );
    let declined = said.lines().filter(|line| line.starts_with(NOT_HERE)).count();
    let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count() - declined;
    println!("{passed} cases passed");
    assert!(passed >= AT_LEAST, "only {passed} cases ran");
}
