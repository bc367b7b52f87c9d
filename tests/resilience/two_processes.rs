//! Two services and a third program write to one SQLite file: they queue, and nobody hears of it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{Over, assert_calm};
use crate::support::app::Builder;
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase};

/// Writes and reads until it is over, and how often.
fn work(user: &Actor, over: &Over) -> (usize, Duration) {
    let (mut created, mut slowest) = (0, Duration::ZERO);
    while !over.yet() {
        let started = Instant::now();
        let task = format!("/api/tasks/{}", id(&user.has_task("t")));
        slowest = slowest.max(started.elapsed());
        user.patch(&format!("{task}/complete")).expect(200);
        user.get("/api/tasks?limit=5").expect(200);
        let headers = [("content-type", "application/json"), ("idempotency-key", &*task)];
        user.request("POST", "/api/tasks", &headers, br#"{"title":"once"}"#)
            .expect(201);
        user.put(&task, json!({ "title": "changed" })).expect(200);
        created += 2;
    }
    (created, slowest)
}

with_a_process_of_its_own!(
    fn two_services_on_one_file_answer_every_call_while_a_third_program_writes_too() {
        let database = Arc::new(OwnDatabase::create(Database::Sqlite));
        let services = [(); 2].map(|()| Builder::on(Arc::clone(&database)).start());
        let over = Over::default();
        let worked: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|number| {
                    let user = services[number % 2].user(&format!("user {number}"));
                    let over = &over;
                    scope.spawn(move || work(&user, over))
                })
                .collect();
            let guard = over.guard();
            for _ in 0..6 {
                let mut other = database.connect();
                other.execute("BEGIN IMMEDIATE; UPDATE tasks SET description = 'seen'");
                thread::sleep(Duration::from_millis(200));
                other.execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
                thread::sleep(Duration::from_millis(200));
            }
            drop(guard);
            workers
                .into_iter()
                .map(|worker| worker.join().expect("all succeed"))
                .collect()
        });
        let created: usize = worked.iter().map(|(created, _)| created).sum();
        let there = services[0].value("SELECT count(*) FROM tasks").unwrap();
        assert_eq!(there, created.to_string());
        // Everybody had a turn.
        assert!(worked.iter().all(|(created, _)| *created > 0), "{worked:?}");
        for service in &services {
            assert!(!service.log().contains("database is locked"));
            assert_calm(service);
        }
    }
);
