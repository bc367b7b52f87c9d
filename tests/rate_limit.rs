//! `RATE_LIMIT_PER_MINUTE` limits the requests of each user without affecting other users.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::deployment::frontend;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Response, Sqlite, TestApp, wait};

fn limited_to(database: Database, per_minute: u32) -> TestApp {
    let builder = TestApp::builder(database);
    builder
        .env("RATE_LIMIT_PER_MINUTE", &per_minute.to_string())
        .start()
}

/// Checks for a 429 problem and returns its `Retry-After`, which must be from 1 to 60 seconds.
#[track_caller]
fn assert_too_many(answer: &Response) -> u64 {
    answer.assert_problem(429);
    let seconds = answer
        .header("retry-after")
        .expect("the response should have Retry-After");
    let seconds = seconds
        .parse()
        .unwrap_or_else(|_| panic!("not an integer: {seconds}"));
    assert!((1..=60).contains(&seconds), "{answer}");
    seconds
}

fn from_the_frontend(user: &Actor, path: &str) -> Response {
    user.request("GET", path, &[("origin", &frontend())], b"")
}

#[rstest]
fn a_call_over_the_limit_is_429_with_retry_after(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 5);
    for contract in CONTRACTS {
        let user = app.user(&format!("{contract:?}"));
        let began = Instant::now();
        for _ in 0..5 {
            from_the_frontend(&user, &contract.tasks(&user)).expect(200);
        }
        for _ in 0..3 {
            let answer = from_the_frontend(&user, &contract.tasks(&user));
            // With a limit of five calls per minute, the next call is allowed twelve seconds after the first.
            let seconds = assert_too_many(&answer);
            assert!(seconds <= 12, "{answer}");
            let asked = began.elapsed() + Duration::from_secs(seconds);
            assert!(asked >= Duration::from_secs(12), "{answer}");
            let origin = answer.header("access-control-allow-origin");
            assert_eq!(origin, Some(&*frontend()), "{answer}");
            let exposed = answer.list_header("access-control-expose-headers");
            assert!(exposed.contains(&"retry-after".to_owned()), "{answer}");
        }
    }
}

#[rstest]
fn both_contracts_and_all_methods_share_a_users_allowance(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 5);
    let ada = app.user("ada");
    ada.get(&Contract::A.tasks(&ada)).expect(200);
    ada.get(&Contract::B.tasks(&ada)).expect(200);
    ada.post("/api/tasks", json!({ "title": "t" })).expect(201);
    ada.get("/api/tasks/abc").expect(404);
    ada.post("/api/tasks", json!({ "title": "" })).expect(400);
    for contract in CONTRACTS {
        for (method, path) in contract.routes(&ada, 1) {
            let answer = ada.request(method, &path, &[], b"");
            assert_eq!(answer.status, 429, "{answer}");
        }
    }
    assert_eq!(app.value("SELECT count(*) FROM tasks").as_deref(), Some("1"));
}

#[rstest]
fn one_users_limit_does_not_affect_another_user(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 5);
    let ada = app.user("ada");
    for _ in 0..10 {
        ada.get("/api/tasks");
    }
    assert_too_many(&ada.get("/api/tasks"));
    let bob = app.user("bob");
    for _ in 0..5 {
        bob.get("/api/tasks").expect(200);
    }
    assert_too_many(&bob.get("/api/tasks"));
}

#[rstest]
fn calls_without_a_valid_token_do_not_count(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 5);
    let ada = app.user("ada");
    let mut expired = ada.claims();
    expired["exp"] = json!(1);
    for _ in 0..10 {
        app.anonymous().get("/api/tasks").assert_unauthorized();
        ada.signed(&expired).get("/api/tasks").assert_unauthorized();
        ada.with_token("a.b.c")
            .get(&Contract::B.tasks(&ada))
            .assert_unauthorized();
    }
    for _ in 0..5 {
        ada.get("/api/tasks").expect(200);
    }
    assert_too_many(&ada.get("/api/tasks"));
    // Calls without a token, probes and preflights are answered as before.
    app.anonymous().get("/api/tasks").assert_unauthorized();
    ada.get("/livez").expect(200);
    ada.get("/readyz").expect(200);
    let preflight = [
        ("origin", &*frontend()),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    for _ in 0..10 {
        let answer = app.anonymous().request("OPTIONS", "/api/tasks", &preflight, b"");
        assert!(answer.status < 300, "{answer}");
    }
}

#[rstest]
fn concurrent_calls_do_not_exceed_the_limit(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 5);
    let ada = app.user("ada");
    let start = Barrier::new(20);
    let started = Instant::now();
    let passed = thread::scope(|scope| {
        let call = || {
            start.wait();
            ada.get("/api/tasks").status
        };
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(call)).collect();
        let statuses = calls.into_iter().map(|call| call.join().unwrap());
        statuses.filter(|status| *status == 200).count()
    });
    let refilled = started.elapsed().as_secs() as usize / 12;
    assert!((5..=5 + refilled).contains(&passed), "{passed}");
}

#[rstest]
fn a_client_that_waits_for_retry_after_is_served_again(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = limited_to(db, 60);
    let ada = app.user("ada");
    let refused = wait::until(Duration::from_mins(1), || {
        let answer = ada.get("/api/tasks");
        (answer.status != 200).then_some(answer)
    });
    let asked = Duration::from_secs(assert_too_many(&refused.expect("the limit should be reached")));
    thread::sleep(asked);
    ada.get("/api/tasks").expect(200);
}

#[rstest]
fn there_is_no_limit_unless_one_is_configured(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for _ in 0..200 {
        ada.get("/api/tasks").expect(200);
    }
}
