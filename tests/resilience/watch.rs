//! What has to hold meanwhile, whatever a test breaks.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

pub use crate::support::over::Over;
use crate::support::{Actor, Response, TestApp, wait};

/// What a busy machine may add to any bound before a test calls it missed.
pub const SLACK: Duration = Duration::from_secs(2);

/// How long a shared machine may stand still. Longer than any bound of the service's; what hangs, hangs for
/// longer.
pub const STALL: Duration = Duration::from_secs(10);

/// Whether it is this success; if not, it has to be a proper 503.
#[track_caller]
pub fn is(status: u16, answer: &Response) -> bool {
    let success = answer.status == status;
    if !success {
        answer.assert_unavailable();
    }
    success
}

/// Does `work`, while `/livez` goes on being 200, nine times in ten within `limit`: the machine is
/// shared, and the bound is the service's.
pub fn while_alive<T>(app: &TestApp, limit: Duration, work: impl FnOnce() -> T) -> T {
    let over = Over::default();
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let anybody = app.anonymous();
            let mut took = Vec::new();
            loop {
                let started = Instant::now();
                anybody.get("/livez").expect(200);
                took.push(started.elapsed());
                if over.yet() {
                    return took;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let guard = over.guard();
        let done = work();
        drop(guard);
        assert_mostly_within(limit, watch.join().expect("/livez answers"));
        done
    })
}

/// Nine in ten within the limit, and none much longer.
#[track_caller]
pub fn assert_mostly_within(limit: Duration, mut took: Vec<Duration>) {
    took.sort_unstable();
    let most = took[(took.len() - 1) * 9 / 10];
    let worst = took[took.len() - 1];
    assert!(
        most <= limit && worst <= limit + STALL,
        "of {} answers, nine in ten came within {most:?}, all within {worst:?}; {limit:?} is allowed",
        took.len()
    );
}

#[track_caller]
pub fn recovers(user: &Actor) {
    let again = || {
        let answer = user.post("/api/tasks", json!({ "title": "again" }));
        is(201, &answer).then_some(())
    };
    wait::until(Duration::from_secs(20), again).expect("the service recovers by itself");
}

/// Waits until `/readyz` has this status.
#[track_caller]
pub fn until_ready_is(status: u16, app: &TestApp) {
    let anybody = app.anonymous();
    let said = || (anybody.get("/readyz").status == status).then_some(());
    if wait::until(Duration::from_secs(20), said).is_none() {
        panic!("/readyz does not become {status}: {}", anybody.get("/readyz"));
    }
}

/// No panic, and no failure that the service blames itself for.
#[track_caller]
pub fn assert_calm(app: &TestApp) {
    let log = app.log();
    let line = log
        .lines()
        .find(|line| line.contains("panicked") || line.contains("ERROR"));
    assert!(line.is_none(), "{line:?}");
}
