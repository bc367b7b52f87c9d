//! Another program locks the table for longer than all timeouts.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{MAX_PAUSE, assert_no_errors, recovers, while_alive};
use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase, TestApp};

const ACQUIRE: Duration = Duration::from_millis(400);
const STATEMENT: Duration = Duration::from_millis(600);

fn started(database: Arc<OwnDatabase>, url: &str) -> TestApp {
    Builder::on(database)
        .env("DATABASE_URL", url)
        .env("DATABASE_POOL_SIZE", "2")
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", &ACQUIRE.as_millis().to_string())
        .env(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            &STATEMENT.as_millis().to_string(),
        )
        .start()
}

fn eighty_at_once(call: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..80 {
            let call = &call;
            scope.spawn(move || call(number));
        }
    });
}

fn assert_refused_in_time(ada: &Actor, task: &str, number: usize) {
    let started = Instant::now();
    let answer = match number % 4 {
        0 => ada.get("/api/tasks"),
        1 => ada.post("/api/tasks", json!({ "title": "refused" })),
        2 => ada.get(task),
        _ => ada.put(task, json!({ "description": "refused" })),
    };
    let took = started.elapsed();
    answer.assert_unavailable();
    assert!(took < ACQUIRE + STATEMENT + MAX_PAUSE, "{took:?} until {answer}");
}

fn assert_eighty_are_refused_and_the_service_recovers(app: &TestApp) {
    let ada = app.user("ada");
    let task = format!("/api/tasks/{}", id(&ada.has_task("before")));
    let other = app.lock();
    while_alive(app, || {
        eighty_at_once(|number| assert_refused_in_time(&ada, &task, number));
        // The second round checks that abandoned requests do not block later ones.
        eighty_at_once(|number| assert_refused_in_time(&ada, &task, number));
    });
    // During this pause, the statement of every refused request must reach its timeout. A statement that
    // still waited afterwards would take effect when the lock is released.
    thread::sleep(STATEMENT * 2);
    drop(other);
    recovers(&ada);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                ada.get(&task).expect(200);
                ada.has_task("after");
            });
        }
    });
    assert_no_errors(app);
}

#[test]
fn eighty_requests_on_a_locked_table_are_503_in_time() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let app = started(Arc::clone(&database), &database.url);
    assert_eighty_are_refused_and_the_service_recovers(&app);
    // No refused write took effect after the lock was released.
    let refused = app.value("SELECT count(*) FROM tasks WHERE title = 'refused'");
    assert_eq!(refused.as_deref(), Some("0"));
}

#[test]
fn eighty_requests_on_a_locked_table_are_503_in_time_behind_a_pooler_too() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
    let url = pooler.url(database.name());
    let app = started(database, &url);
    assert_eighty_are_refused_and_the_service_recovers(&app);
}

#[test]
fn a_read_that_is_repeated_is_503_within_the_timeouts_of_one_attempt() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "2000")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "5000")
        .start();
    let ada = app.user("ada");
    ada.has_task("before");
    let mut other = app.lock();
    let started = Instant::now();
    let took = thread::scope(|scope| {
        let read = scope.spawn(|| {
            ada.get("/api/tasks").assert_unavailable();
            started.elapsed()
        });
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(4));
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            );
        }
        read.join().expect("the read should be answered")
    });
    // If each of three attempts had timeouts of its own, the read would take 13 s.
    assert!(took < Duration::from_secs(10), "{took:?}");
}
