//! `METRICS_ADDR`: metrics are served on a separate listener, and clients cannot create new label values.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::exposition::Exposition;
use crate::support::actor::Target;
use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::token::mint;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Response, Sqlite, TestApp, wait};

const REQUESTS: &str = "http_requests_total";
const DURATIONS: &str = "http_request_duration_seconds";
const POOL: &str = "database_connections";
const REFUSED_CALLS: &str = "database_refused_total";
const REFUSED_TOKENS: &str = "auth_refused_tokens_total";
const KEY_SET_FETCHES: &str = "auth_jwks_fetches_total";

struct Measured {
    app: TestApp,
    listener: Actor,
}

impl Measured {
    fn start(database: Database, further: &[(&str, &str)]) -> Self {
        // The listener uses another loopback address than the service, so that the service cannot take its
        // port.
        let free = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
        let mut builder = TestApp::builder(database).env("METRICS_ADDR", &free.to_string());
        for (name, value) in further {
            builder = builder.env(name, value);
        }
        let app = builder.start();
        let target = Target::new(vec![format!("http://{free}")], String::new());
        let listener = Actor::anonymous(target);
        wait::until(Duration::from_secs(5), || listener.try_get("/metrics"))
            .expect("the metrics should be served");
        Self { app, listener }
    }

    fn text(&self) -> String {
        let answer = self.listener.get("/metrics").expect(200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/plain"), "{kind}");
        answer.text()
    }

    fn read(&self) -> Exposition {
        Exposition::parse(&self.text())
    }
}

#[rstest]
fn the_metrics_listener_serves_only_metrics(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let app = &measured.app;
    for user in [app.anonymous(), app.user("ada")] {
        user.get("/metrics").assert_problem(404);
    }
    for path in ["/api/tasks", "/livez", "/", "/docs"] {
        let there = measured.listener.with_token(&app.user("ada").token.unwrap());
        there.get(path).assert_problem(404);
    }
    let head = measured
        .listener
        .request("HEAD", "/metrics", &[], b"")
        .expect(200);
    assert_eq!(head.body, b"");
    let post = measured.listener.request("POST", "/metrics", &[], b"");
    post.assert_problem(405);
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
}

#[rstest]
fn requests_are_counted_by_route_template_and_status(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let ada = measured.app.user("ada");
    let task = id(&ada.has_task("t"));
    let before = measured.read();
    for contract in CONTRACTS {
        for _ in 0..3 {
            ada.get(&contract.task(&ada, task)).expect(200);
            ada.get(&contract.task(&ada, "abc")).expect(404);
        }
    }
    let after = measured.read();
    let grown = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    let routes: Vec<&str> = after
        .values_of("route")
        .into_iter()
        .filter(|route| grown(REQUESTS, &[("route", route)]) > 0.0)
        .collect();
    assert_eq!(
        routes.len(),
        2,
        "there should be one route for each contract: {routes:?}"
    );
    for route in routes {
        for status in ["200", "404"] {
            let labels = [("method", "GET"), ("route", route), ("status", status)];
            assert_eq!(grown(REQUESTS, &labels), 3.0, "{labels:?}");
        }
        let labels = [("method", "GET"), ("route", route)];
        assert_eq!(grown(&format!("{DURATIONS}_count"), &labels), 6.0);
        assert!(grown(&format!("{DURATIONS}_sum"), &labels) > 0.0);
        let buckets = after.find(&format!("{DURATIONS}_bucket"), &labels);
        let counts: Vec<f64> = buckets.iter().map(|bucket| bucket.value).collect();
        assert!(counts.len() > 5 && counts.is_sorted(), "{counts:?}");
        assert_eq!(buckets.last().unwrap().labels["le"], "+Inf");
        assert_eq!(
            counts.last(),
            Some(&after.sum(&format!("{DURATIONS}_count"), &labels))
        );
    }
    assert_eq!(after.types[REQUESTS], "counter");
    assert_eq!(after.types[DURATIONS], "histogram");
}

#[rstest]
fn the_pool_metrics_count_used_connections_and_waiting_and_refused_calls(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let measured = Measured::start(
        db,
        &[
            ("DATABASE_POOL_SIZE", "2"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "400"),
            ("DATABASE_STATEMENT_TIMEOUT_MS", "2000"),
        ],
    );
    let ada = measured.app.user("ada");
    ada.has_task("t");
    let state = |state| measured.read().sum(POOL, &[("state", state)]);
    assert_eq!(measured.read().types[POOL], "gauge");
    assert_eq!(state("waiting"), 0.0);
    let refused_before = measured.read().sum(REFUSED_CALLS, &[]);
    let held = measured.app.lock();
    let answers: Vec<Response> = thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ada.post("/api/tasks", json!({ "title": "t" }))))
            .collect();
        let busy = || (state("in_use") >= 1.0 && state("waiting") >= 1.0).then_some(());
        wait::until(Duration::from_secs(5), busy).expect("a call should run and another should wait");
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    drop(held);
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert!(
        measured.read().sum(REFUSED_CALLS, &[]) > refused_before,
        "{}",
        measured.text()
    );
    let idle = || (state("in_use") == 0.0 && state("waiting") == 0.0).then_some(());
    wait::until(Duration::from_secs(5), idle).expect("all connections should become idle");
}

#[test]
fn a_client_that_hangs_up_while_it_waits_for_a_connection_is_no_longer_counted() {
    skip_at_a_deployment!();
    let measured = Measured::start(Database::Postgres, &[("DATABASE_POOL_SIZE", "2")]);
    let ada = measured.app.user("ada");
    ada.has_task("t");
    let waiting = || measured.read().sum(POOL, &[("state", "waiting")]);
    let _held = measured.app.lock();
    let send = || {
        let mut connection = Connection::open(&measured.app);
        let token = ada.token.as_deref().unwrap();
        let line = "PATCH /api/tasks/1/complete";
        connection.send(raw::request(&measured.app, line, token, &[], b""));
        connection
    };
    let clients: Vec<_> = (0..4).map(|_| send()).collect();
    let one_waits = || (waiting() >= 1.0).then_some(());
    wait::until(Duration::from_secs(5), one_waits).expect("a call should wait for a connection");
    clients.into_iter().for_each(Connection::reset);
    let none_waits = || (waiting() == 0.0).then_some(());
    wait::until(Duration::from_secs(5), none_waits).expect("no call should be counted any more");
}

#[rstest]
fn a_call_that_the_database_could_not_answer_is_counted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let ada = measured.app.user("ada");
    let unavailable = || measured.read().sum(REFUSED_CALLS, &[("reason", "unavailable")]);
    ada.get("/api/tasks").expect(200);
    assert_eq!(unavailable(), 0.0);
    measured.app.execute("ALTER TABLE tasks RENAME TO elsewhere");
    ada.get("/api/tasks").assert_unavailable();
    assert_eq!(unavailable(), 1.0);
}

#[rstest]
fn refused_tokens_are_counted_by_reason(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let ada = measured.app.user("ada");
    let mut expired = ada.claims();
    expired["exp"] = json!(1);
    let expired = ada.signed(&expired);
    let none = mint(&json!({ "alg": "none" }), &ada.claims(), measured.app.secret());
    for (user, times) in [(&expired, 3.0), (&ada.with_token(&none), 2.0)] {
        let before = measured.read();
        for _ in 0..times as u32 {
            user.get("/api/tasks").assert_unauthorized();
        }
        let after = measured.read();
        let grown: Vec<(&str, f64)> = after
            .values_of("reason")
            .into_iter()
            .map(|reason| {
                let labels = [("reason", reason)];
                let grown = after.sum(REFUSED_TOKENS, &labels) - before.sum(REFUSED_TOKENS, &labels);
                (reason, grown)
            })
            .filter(|(_, grown)| *grown > 0.0)
            .collect();
        assert!(matches!(grown[..], [(_, grown)] if grown == times), "{grown:?}");
    }
    let reasons = measured.read().find(REFUSED_TOKENS, &[]).len();
    assert!(reasons >= 2, "{reasons}");
}

#[rstest]
fn tokens_for_another_purpose_have_reasons_of_their_own(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let ada = measured.app.user("ada");
    let with = |claim: &str| {
        let mut claims = ada.claims();
        claims[claim] = json!("something");
        ada.signed(&claims)
    };
    let link = ada.signed(&json!({ "email": "a@b.c", "userId": "ada", "exp": ada.claims()["exp"] }));
    let access = json!({ "alg": "HS256", "typ": "at+jwt" });
    let access = ada.with_token(&mint(&access, &ada.claims(), measured.app.secret()));
    for (caller, reason, times) in [
        (link, "email_link", 1.0),
        (with("requestType"), "email_link", 2.0),
        (with("cnf"), "key_bound", 1.0),
        (access, "token_type", 1.0),
    ] {
        caller.get("/api/tasks").assert_unauthorized();
        let counted = measured.read().sum(REFUSED_TOKENS, &[("reason", reason)]);
        assert_eq!(counted, times, "{reason}");
    }
}

#[rstest]
fn fetches_of_the_key_set_are_counted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", issuer.local_addr().unwrap());
    let measured = Measured::start(db, &[("BETTER_AUTH_JWKS_URL", &url)]);
    let ada = measured.app.user("ada");
    let header = json!({ "alg": "EdDSA", "kid": "unknown" });
    let foreign = ada.with_token(&mint(&header, &ada.claims(), measured.app.secret()));
    // After this, no process listens at the address, so the fetch fails.
    drop(issuer);
    let before = measured.read();
    assert_eq!(before.sum(KEY_SET_FETCHES, &[]), 0.0);
    assert_eq!(foreign.get("/api/tasks").status, 503);
    let after = measured.read();
    let failed = after.sum(KEY_SET_FETCHES, &[("outcome", "failure")]);
    assert_eq!(failed, 1.0, "{:?}", after.find(KEY_SET_FETCHES, &[]));
    assert_eq!(after.sum(KEY_SET_FETCHES, &[("outcome", "success")]), 0.0);
}

#[rstest]
fn build_information_is_there(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let read = measured.read();
    let builds = read.find("build_info", &[]);
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].value, 1.0);
    assert_eq!(builds[0].labels["version"], env!("CARGO_PKG_VERSION"));
}

#[rstest]
fn no_user_is_in_a_label(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let app = &measured.app;
    for id in ["marker-of-ada", "marker\"}\n# of eve"] {
        let user = app.user_with_id(&app.unique(id));
        for contract in CONTRACTS {
            let task = crate::support::task::id(&user.has_task("marker-title"));
            for (method, path) in contract.routes(&user, task) {
                user.request(method, &path, &[], b"");
                app.anonymous().request(method, &path, &[], b"");
                app.user("marker-other").request(method, &path, &[], b"");
            }
            user.get(&format!("{}/marker/marker", contract.tasks(&user)));
        }
    }
    let text = measured.text();
    assert!(
        !text.contains("marker") && !text.contains("example.com"),
        "{text}"
    );
}

#[rstest]
fn unknown_methods_and_paths_create_no_new_series(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let measured = Measured::start(db, &[]);
    let ada = measured.app.user("ada");
    let other = measured.app.user("other");
    let call = |number: usize| {
        ada.get(&format!("/made/up/{number}"));
        ada.get(&format!("/api/made-up-{number}"));
        ada.get(&format!("/api/tasks/{number}00"));
        ada.get(&format!("/api/user-{number}/tasks"));
        ada.get(&format!("/api/user-{number}/tasks/{number}/complete/{number}"));
        ada.get(&format!("/docs/made-up-{number}"));
        other.get(&Contract::B.task(&ada, number));
        for path in ["/api/tasks", "/livez", "/nowhere"] {
            let method = format!("MADE{number}");
            let request = raw::request(&measured.app, &format!("{method} {path}"), "", &[], b"");
            Connection::open(&measured.app).send(request).read();
        }
    };
    call(0);
    let before = measured.read().samples.len();
    for number in 1..40 {
        call(number);
    }
    let after = measured.read();
    assert_eq!(after.samples.len(), before, "{:?}", after.values_of("method"));
}
