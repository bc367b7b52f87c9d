//! A log that nobody reads must not block the service.

use std::time::Duration;

use rstest::rstest;

use crate::support::{Database, Postgres, Sqlite, TestApp};

/// A shell command that makes standard error a pipe that is open for reading but never read.
const UNREAD: &str = "mkfifo unread && exec 3<>unread && exec \"$0\" \"$@\" 2>unread";

/// The number of requests, which write enough log lines to fill a pipe (64 KiB) several times.
const CALLS: usize = 2_000;

#[rstest]
fn a_log_that_nobody_reads_blocks_neither_calls_nor_the_shutdown(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).through(&["sh", "-c", UNREAD]).start();
    let ada = app.user("ada");
    for _ in 0..CALLS {
        ada.get("/livez").expect(200);
    }
    ada.get("/api/tasks").expect(200);
    app.signal("-TERM");
    let status = app.process().wait(Duration::from_secs(10));
    assert!(status.expect("the process should exit").success());
}
