//! The reads of several users share a connection. If one of them fails or takes long, the others must still
//! succeed.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{MAX_PAUSE, assert_no_errors};
use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase, TestApp};

const STATEMENT: Duration = Duration::from_millis(800);

/// Starts a service in which reads of users whose ids begin with `stuck` take longer than the statement
/// timeout, and reads of users whose ids begin with `slow` take 0.4 s for each task.
fn with_slow_readers() -> TestApp {
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let url = database.url.clone();
    with_slow_readers_on(database, &url)
}

fn with_slow_readers_on(database: Arc<OwnDatabase>, url: &str) -> TestApp {
    let mut app = Builder::on(database)
        .env("DATABASE_URL", url)
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

/// Returns the ids of the PostgreSQL processes that serve the service's connections.
fn servers(app: &TestApp) -> Vec<Option<String>> {
    app.values(
        "SELECT pid FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'todo-backend' ORDER BY pid",
    )
}

/// Makes each of these users read a task of their own, all at the same time and shortly after `meanwhile`
/// began. Returns how long each read took.
fn read_at_once(users: &[(Actor, String)], meanwhile: impl FnOnce() + Send) -> Vec<Duration> {
    let barrier = Barrier::new(users.len() + 1);
    thread::scope(|scope| {
        let reads: Vec<_> = users
            .iter()
            .map(|(user, path)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    // The reads start after the request in `meanwhile`, but before the service notices that
                    // the connection is stalled.
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
        other.join().expect("the other request should not fail");
        reads
            .into_iter()
            .map(|read| read.join().expect("every read should succeed"))
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

/// Repeats `disturb` while others read, until more than three reads took longer than `delay`.
fn others_are_answered(app: &TestApp, delay: Duration, disturb: impl Fn() + Sync) {
    let readers = readers(app);
    // The connections that serve these reads must still exist at the end.
    read_at_once(&readers, || {});
    let before = servers(app);
    let mut behind = 0;
    for _ in 0..20 {
        let took = read_at_once(&readers, &disturb);
        assert!(took.iter().all(|took| *took < STATEMENT + MAX_PAUSE), "{took:?}");
        behind += took.iter().filter(|took| **took > delay).count();
        // After this pause, the disturbing statement has ended and the connection is used again.
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
    assert!(behind > 0, "no read waited behind the other request");
    assert_no_errors(app);
}

#[test]
fn reads_behind_one_that_times_out_are_answered() {
    skip_at_a_deployment!();
    let app = with_slow_readers();
    let stuck = app.user("stuck");
    others_are_answered(&app, STATEMENT / 2, || {
        let started = Instant::now();
        stuck.get("/api/tasks?limit=1").assert_unavailable();
        let took = started.elapsed();
        assert!(took >= STATEMENT / 2 && took < STATEMENT + MAX_PAUSE, "{took:?}");
    });
}

#[test]
fn reads_behind_one_that_times_out_are_answered_behind_a_pooler_too() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
    let url = pooler.url(database.name());
    let app = with_slow_readers_on(database, &url);
    let readers = readers(&app);
    let stuck = app.user("stuck");
    let in_time = |took: Duration| took < STATEMENT + MAX_PAUSE;
    let (mut rounds, mut behind) = (0, 0);
    while rounds < 10 && behind <= 3 {
        rounds += 1;
        // Behind a pooler, the service closes the connection. It repeats the reads that waited behind the
        // timed-out read. It does not repeat the timed-out read, which would delay others again.
        let took = read_at_once(&readers, || {
            let started = Instant::now();
            stuck.get("/api/tasks?limit=1").assert_unavailable();
            assert!(in_time(started.elapsed()), "{:?}", started.elapsed());
        });
        assert!(took.iter().all(|took| in_time(*took)), "{took:?}");
        behind += took.iter().filter(|took| **took > STATEMENT / 2).count();
        thread::sleep(STATEMENT);
    }
    assert!(behind > 0, "no read waited behind the other request");
    let closed = app.log().matches("a statement was not answered in time").count();
    assert_eq!(closed, rounds);
    assert_no_errors(&app);
}

#[test]
fn a_client_that_disconnects_within_a_pipelined_read_does_not_affect_others() {
    skip_at_a_deployment!();
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
    // A client that does not disconnect gets the response.
    let list = app.user("slow").get("/api/tasks").expect(200).json();
    assert_eq!(list[0]["title"], json!("theirs"));
}
