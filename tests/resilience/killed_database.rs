//! PostgreSQL is killed under load and started again.

use std::thread;
use std::time::Duration;

use super::watch::{assert_no_errors, until_ready_is, while_alive};
use super::writers::{assert_each_is_there_once, started_on, written_while};
use crate::support::own_postgres::OwnPostgres;

#[test]
fn a_database_killed_three_times_under_eight_writers_loses_nothing() {
    skip_at_a_deployment!();
    let mut server = OwnPostgres::start();
    let app = started_on(server.database(), &server.url());
    let ada = app.user("ada");
    let acknowledged = written_while(&ada, 8, || {
        while_alive(&app, || {
            for round in 0..3 {
                thread::sleep(Duration::from_millis(400));
                match round {
                    1 => server.stop_immediately(),
                    _ => server.kill(),
                }
                until_ready_is(503, &app);
                server.start_again();
                until_ready_is(200, &app);
            }
            thread::sleep(Duration::from_millis(400));
        });
    });
    assert_each_is_there_once(&ada, &acknowledged, 24);
    assert_no_errors(&app);
}
