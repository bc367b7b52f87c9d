//! A log that nobody reads: it must hold nobody up.

use std::time::Duration;

use crate::support::TestApp;

/// Its standard error is a pipe that is open for reading, and never read.
const UNREAD: &str = "mkfifo unread && exec 3<>unread && exec \"$0\" \"$@\" 2>unread";

/// Lines enough to fill a pipe (64 KiB) several times.
const CALLS: usize = 2_000;

on_both_databases!(
    fn a_log_that_nobody_reads_stops_neither_the_calls_nor_the_end(db: Database) {
        let mut app = TestApp::builder(db).through(&["sh", "-c", UNREAD]).start();
        let ada = app.user("ada");
        for _ in 0..CALLS {
            ada.get("/livez").expect(200);
        }
        ada.get("/api/tasks").expect(200);
        app.signal("-TERM");
        let status = app.process().wait(Duration::from_secs(10));
        assert!(status.expect("it ends").success());
    }
);
