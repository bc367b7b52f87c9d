//! Reads of several users share a connection: what becomes of one of them is nothing to the others.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{STALL, assert_calm};
use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::{Actor, Database, TestApp};

const STATEMENT: Duration = Duration::from_millis(800);

/// A service whose users named `stuck` read for longer than a statement may take, and those named `slow` for
/// a while, each task of theirs.
fn with_slow_readers() -> TestApp {
    let mut app = TestApp::builder(Database::Postgres)
        .env(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            &STATEMENT.as_millis().to_string(),
        )
        .start();
    for name in ["stuck", "slow"] {
        app.user(name).has_task("theirs");
    }
    app.execute(
        "CREATE FUNCTION pause(seconds DOUBLE PRECISION) RETURNS BOOLEAN LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(seconds); RETURN true; END $$; \
         ALTER TABLE tasks RENAME TO stored_tasks; \
         CREATE VIEW tasks AS SELECT * FROM stored_tasks WHERE CASE WHEN user_id LIKE 'stuck%' THEN pause(60) \
         WHEN user_id LIKE 'slow%' THEN pause(0.4) ELSE true END",
    );
    app.restart();
    app
}

/// The processes of PostgreSQL that serve it.
fn servers(app: &TestApp) -> Vec<Option<String>> {
    app.values(
        "SELECT pid FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'todo-backend' ORDER BY pid",
    )
}

/// All at once: how long each of these users waited for an own task.
fn read_at_once(users: &[(Actor, String)], meanwhile: impl FnOnce() + Send) -> Vec<Duration> {
    let barrier = Barrier::new(users.len() + 1);
    thread::scope(|scope| {
        let reads: Vec<_> = users
            .iter()
            .map(|(user, path)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    // Behind the other one, and before the connection is known to stall.
                    thread::sleep(Duration::from_millis(15));
                    let started = Instant::now();
                    user.get(path).expect(200);
                    started.elapsed()
                })
            })
            .collect();
        let other = scope.spawn(|| {
            barrier.wait();
            meanwhile();
        });
        other.join().expect("the other one");
        reads
            .into_iter()
            .map(|read| read.join().expect("a read"))
            .collect()
    })
}

fn readers(app: &TestApp) -> Vec<(Actor, String)> {
    let reader = |number| {
        let user = app.user(&format!("reader{number}"));
        let path = format!("/api/tasks/{}", id(&user.has_task("t")));
        (user, path)
    };
    (0..12).map(reader).collect()
}

/// Repeats what somebody does while others read, until some of these have waited behind it.
fn others_are_answered(app: &TestApp, delay: Duration, disturb: impl Fn() + Sync) {
    let readers = readers(app);
    // The connections that are there before, and are to be there afterwards.
    read_at_once(&readers, || {});
    let before = servers(app);
    let mut behind = 0;
    for _ in 0..20 {
        let took = read_at_once(&readers, &disturb);
        assert!(took.iter().all(|took| *took < STATEMENT + STALL), "{took:?}");
        behind += took.iter().filter(|took| **took > delay).count();
        // Until the disturbance is over, and the connection is used again.
        thread::sleep(STATEMENT);
        if behind > 3 {
            break;
        }
    }
    read_at_once(&readers, || {});
    let after = servers(app);
    assert!(
        !before.is_empty() && before.iter().all(|server| after.contains(server)),
        "{before:?} became {after:?}"
    );
    assert!(behind > 0, "nobody was ever behind it in a pipeline");
    assert_calm(app);
}

with_a_process_of_its_own!(
    fn reads_behind_one_that_times_out_are_answered() {
        let app = with_slow_readers();
        let stuck = app.user("stuck");
        others_are_answered(&app, STATEMENT / 2, || {
            let started = Instant::now();
            stuck.get("/api/tasks?limit=1").assert_unavailable();
            let took = started.elapsed();
            assert!(took >= STATEMENT / 2 && took < STATEMENT + STALL, "{took:?}");
        });
    }

    fn a_client_that_hangs_up_in_the_middle_of_a_pipelined_read_disturbs_nobody() {
        let app = with_slow_readers();
        let token = app.user("slow").token.unwrap();
        for hang_up in [drop, Connection::reset] {
            others_are_answered(&app, Duration::from_millis(200), || {
                let mut connection = Connection::open(&app);
                connection.send(raw::request(&app, "GET /api/tasks?limit=1", &token, &[], b""));
                thread::sleep(Duration::from_millis(40));
                hang_up(connection);
            });
        }
        // Who stays gets the answer.
        let list = app.user("slow").get("/api/tasks").expect(200).json();
        assert_eq!(list[0]["title"], json!("theirs"));
    }
);
