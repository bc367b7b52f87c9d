//! Another program locks a task of one user, and only that user's writes to it have to wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{StopFlag, assert_no_errors};
use crate::support::task::id;
use crate::support::{Database, TestApp, wait};

const LOCK_DURATION: Duration = Duration::from_secs(3);

#[test]
fn a_locked_row_delays_only_its_user() {
    skip_at_a_deployment!();
    // This is the smallest pool in which a waiting write leaves enough connections to others on any number of cores.
    let app = TestApp::builder(Database::Postgres)
        .env("DATABASE_POOL_SIZE", "4")
        .start();
    let ada = app.user("ada");
    let locked = id(&ada.has_task("locked"));
    let others: Vec<_> = (0..4)
        .map(|number| {
            let user = app.user(&format!("other{number}"));
            let task = format!("/api/tasks/{}", id(&user.has_task("theirs")));
            (user, task)
        })
        .collect();
    let mut other_program = app.connect();
    other_program.execute(&format!(
        "BEGIN; SELECT 1 FROM tasks WHERE id = {locked} FOR UPDATE"
    ));
    let stop_flag = StopFlag::default();
    let calls = AtomicUsize::new(0);
    thread::scope(|scope| {
        let guard = stop_flag.guard();
        let waiting: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| ada.patch(&format!("/api/tasks/{locked}/complete")).expect(200)))
            .collect();
        // If a round trip takes more than 1 ms, which a busy machine can cause, the service also sends writes
        // of other users over the connection of the waiting write, until that write has been unanswered for
        // some time. The other users therefore start after that time.
        wait::until(Duration::from_secs(5), || {
            let late = app.values(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '300 ms'",
            );
            (!late.is_empty()).then_some(())
        })
        .expect("a write waits for the lock");
        for (user, task) in &others {
            let (stop_flag, calls) = (&stop_flag, &calls);
            scope.spawn(move || {
                while !stop_flag.is_set() {
                    let call = |limit: Duration, call: &dyn Fn() -> crate::support::Response, status| {
                        let started = Instant::now();
                        call().expect(status);
                        assert!(started.elapsed() < limit, "{:?}", started.elapsed());
                        calls.fetch_add(1, Ordering::Relaxed);
                    };
                    // The lock is held for `LOCK_DURATION` after this loop has started, so a first request that
                    // waits for the lock exceeds this limit.
                    let limit = LOCK_DURATION * 2 / 3;
                    call(limit, &|| user.get(task), 200);
                    call(limit, &|| user.get("/api/tasks?limit=5"), 200);
                    call(limit, &|| user.patch(&format!("{task}/complete")), 200);
                    call(limit, &|| user.post("/api/tasks", json!({ "title": "t" })), 201);
                    let key = format!("{}", crate::support::random::number());
                    let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
                    let body = br#"{"title":"once"}"#;
                    call(limit, &|| user.request("POST", "/api/tasks", &headers, body), 201);
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        thread::sleep(LOCK_DURATION);
        assert!(
            waiting.iter().all(|call| !call.is_finished()),
            "these calls should wait for the lock"
        );
        // Reads of the same user do not wait.
        ada.get(&format!("/api/tasks/{locked}")).expect(200);
        drop(guard);
        other_program.execute("COMMIT");
    });
    let calls = calls.into_inner();
    assert!(calls > 50, "the others were served {calls} times");
    let task = ada.get(&format!("/api/tasks/{locked}")).expect(200).json();
    assert_eq!(task["version"], json!(17), "no toggle should be lost");
    assert_no_errors(&app);
}
