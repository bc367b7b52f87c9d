//! Checks that must hold during and after every fault.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

pub use crate::support::stop_flag::StopFlag;
use crate::support::{Actor, Response, TestApp, wait};

/// The tolerance for a busy machine that tests add to some time limits.
pub const TOLERANCE: Duration = Duration::from_secs(2);

/// The tolerance for single requests: a busy machine may suspend a process for several seconds. A request
/// that hangs takes longer.
pub const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Returns whether the response has this status. Otherwise it must be a valid 503.
#[track_caller]
pub fn succeeded(status: u16, answer: &Response) -> bool {
    let success = answer.status == status;
    if !success {
        answer.assert_unavailable();
    }
    success
}

/// The time within which 90% of the requests to `/livez` must be answered. If an HTTP worker waited for the
/// database, its requests would take about as long as the timeouts in these tests.
const ALIVE: Duration = Duration::from_millis(500);

/// Runs `work` while `/livez` is requested repeatedly. Every response must be 200, and 90% must arrive within
/// `ALIVE`. The rest may be slower, because other tests run on the same machine.
pub fn while_alive<T>(app: &TestApp, work: impl FnOnce() -> T) -> T {
    let stop_flag = StopFlag::default();
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let anybody = app.anonymous();
            let mut took = Vec::new();
            loop {
                let started = Instant::now();
                anybody.get("/livez").expect(200);
                took.push(started.elapsed());
                if stop_flag.is_set() {
                    return took;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let guard = stop_flag.guard();
        let done = work();
        drop(guard);
        assert_mostly_within(ALIVE, watch.join().expect("/livez should answer"));
        done
    })
}

/// Checks that 90% of the times are within the limit and that none exceeds it by more than `MAX_PAUSE`.
#[track_caller]
pub fn assert_mostly_within(limit: Duration, mut took: Vec<Duration>) {
    took.sort_unstable();
    let most = took[(took.len() - 1) * 9 / 10];
    let worst = took[took.len() - 1];
    assert!(
        most <= limit && worst <= limit + MAX_PAUSE,
        "of {} responses, 90% took at most {most:?} and the slowest {worst:?}; the limit is {limit:?}",
        took.len()
    );
}

#[track_caller]
pub fn recovers(user: &Actor) {
    let again = || {
        let answer = user.post("/api/tasks", json!({ "title": "again" }));
        succeeded(201, &answer).then_some(())
    };
    wait::until(Duration::from_secs(20), again).expect("the service should recover by itself");
}

/// Waits until `/readyz` returns this status.
#[track_caller]
pub fn until_ready_is(status: u16, app: &TestApp) {
    let anybody = app.anonymous();
    let said = || (anybody.get("/readyz").status == status).then_some(());
    assert!(
        wait::until(Duration::from_secs(20), said).is_some(),
        "/readyz does not become {status}: {}",
        anybody.get("/readyz")
    );
}

/// Checks that the log contains neither a panic nor an error.
#[track_caller]
pub fn assert_no_errors(app: &TestApp) {
    let log = app.log();
    let line = log
        .lines()
        .find(|line| line.contains("panicked") || line.contains("ERROR"));
    assert!(line.is_none(), "{line:?}");
}
