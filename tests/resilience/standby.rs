//! The primary fails, and its synchronous standby takes over.

use std::thread;
use std::time::Duration;

use super::watch::{assert_no_errors, recovers, until_ready_is};
use super::writers::{assert_each_is_there_once, started_on, written_while};
use crate::support::own_postgres::OwnPostgres;

#[test]
fn a_promoted_standby_has_all_acknowledged_tasks_and_accepts_writes() {
    skip_at_a_deployment!();
    let mut primary = OwnPostgres::start();
    let standby = primary.synchronous_standby();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port, standby.port
    );
    let app = started_on(standby.database(), &url);
    let ada = app.user("ada");
    ada.has_task("before");
    let mut acknowledged = written_while(&ada, 6, || {
        thread::sleep(Duration::from_millis(700));
        primary.kill();
        until_ready_is(503, &app);
        // The standby already answers reads, but the service waits for a server that accepts writes.
        thread::sleep(Duration::from_millis(700));
        assert_eq!(
            standby.database().value("SELECT pg_promote()").as_deref(),
            Some("true")
        );
        recovers(&app.user("bob"));
        until_ready_is(200, &app);
        thread::sleep(Duration::from_millis(500));
    });
    acknowledged.push("before".to_owned());
    assert_each_is_there_once(&ada, &acknowledged, 12);
    assert_no_errors(&app);
}
