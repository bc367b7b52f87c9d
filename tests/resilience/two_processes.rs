//! Two services and a third program write to the same SQLite file at the same time.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::watch::{MAX_PAUSE, StopFlag, assert_no_errors, succeeded};
use crate::support::app::Builder;
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase};

/// The sum of the service's time limits for a connection and a statement, and tolerance for a busy machine.
const CALL_TIMEOUT: Duration = Duration::from_secs(2 + 5).saturating_add(MAX_PAUSE);

/// Writes and reads until `stop_flag` is set, and returns the numbers of created tasks and of refused calls.
/// SQLite does not queue writers: the process that tries at the right moment gets the lock. One process may
/// therefore keep another from writing for longer than the timeout. The call then gets a 503.
fn work(user: &Actor, stop_flag: &StopFlag) -> (usize, usize) {
    let (mut created, mut refused) = (0, 0);
    let mut call = |status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let started = Instant::now();
        let answer = user.request(method, path, headers, body.as_bytes());
        assert!(started.elapsed() < CALL_TIMEOUT, "{answer}");
        let done = succeeded(status, &answer);
        refused += usize::from(!done);
        done.then_some(answer)
    };
    const JSON: (&str, &str) = ("content-type", "application/json");
    while !stop_flag.is_set() {
        let Some(task) = call(201, "POST", "/api/tasks", &[JSON], r#"{"title":"t"}"#) else {
            continue;
        };
        created += 1;
        let task = format!("/api/tasks/{}", id(&task.json()));
        call(200, "PATCH", &format!("{task}/complete"), &[], "");
        call(200, "GET", "/api/tasks?limit=5", &[], "");
        let once = [JSON, ("idempotency-key", &*task)];
        created += usize::from(call(201, "POST", "/api/tasks", &once, r#"{"title":"once"}"#).is_some());
        call(200, "PUT", &task, &[JSON], r#"{"title":"changed"}"#);
    }
    (created, refused)
}

#[test]
fn two_services_on_one_file_answer_every_call_while_a_third_program_writes_too() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Sqlite));
    let services = [(); 2].map(|()| {
        Builder::on(Arc::clone(&database))
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "2000")
            .env("DATABASE_STATEMENT_TIMEOUT_MS", "5000")
            .start()
    });
    let stop_flag = StopFlag::default();
    let worked: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|number| {
                let user = services[number % 2].user(&format!("user {number}"));
                let stop_flag = &stop_flag;
                scope.spawn(move || work(&user, stop_flag))
            })
            .collect();
        let guard = stop_flag.guard();
        for _ in 0..6 {
            let mut other = database.connect();
            other.execute("BEGIN IMMEDIATE; UPDATE tasks SET description = 'seen'");
            thread::sleep(Duration::from_millis(200));
            other.execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
            thread::sleep(Duration::from_millis(200));
        }
        drop(guard);
        let workers = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        workers
            .map(|worked| worked.expect("each call should end in time"))
            .collect()
    });
    let created: usize = worked.iter().map(|(created, _)| created).sum();
    let there = services[0].value("SELECT count(*) FROM tasks").unwrap();
    assert_eq!(there, created.to_string());
    // Every worker made progress, and no more calls were refused than tasks were created.
    assert!(worked.iter().all(|(created, _)| *created > 0), "{worked:?}");
    let refused: usize = worked.iter().map(|(_, refused)| refused).sum();
    assert!(refused <= created, "{worked:?}");
    for service in &services {
        assert!(!service.log().contains("database is locked"));
        assert_no_errors(service);
    }
}
