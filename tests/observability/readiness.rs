//! `/livez` shows whether the process must be restarted, and `/readyz` whether it can serve requests.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::proxy::Proxy;
use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::stop_flag::StopFlag;
use crate::support::{CONTRACTS, Database, OwnDatabase, Postgres, Sqlite, TestApp, wait};

/// Starts a service that reaches its database through the proxy, which may still be closed.
fn start_behind(proxy: &Proxy) -> TestApp {
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let url = database.url.replace(
        &format!(":{}/", Cluster::get().port),
        &format!(":{}/", proxy.port),
    );
    assert_ne!(url, database.url);
    Builder::on(database)
        .env("DATABASE_URL", &url)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "500")
        .without_its_database()
        .start()
}

fn becomes_ready(app: &TestApp) {
    let ready = || (app.anonymous().get("/readyz").status == 200).then_some(());
    wait::until(Duration::from_secs(15), ready).expect("the service should become ready by itself");
}

#[rstest]
fn a_service_that_can_serve_is_alive_and_ready(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for path in ["/livez", "/readyz"] {
        for user in [
            app.anonymous(),
            app.user("ada"),
            app.anonymous().with_token("garbage"),
        ] {
            user.get(path).expect(200);
            let head = user.request("HEAD", path, &[], b"").expect(200);
            assert_eq!(head.body, b"");
        }
        let answer = app.anonymous().post(path, json!({}));
        answer.assert_problem(405);
        assert_eq!(answer.list_header("allow"), ["get", "head"]);
    }
}

#[rstest]
fn a_service_without_its_tables_is_not_ready(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    app.anonymous().get("/readyz").expect(200);
    for (remove, restore) in [
        (
            "ALTER TABLE tasks RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO tasks",
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM __diesel_schema_migrations; \
             DELETE FROM __diesel_schema_migrations",
            "INSERT INTO __diesel_schema_migrations SELECT * FROM kept",
        ),
    ] {
        app.execute(remove);
        app.anonymous().get("/readyz").assert_unavailable();
        app.anonymous().get("/livez").expect(200);
        app.execute(restore);
        app.anonymous().get("/readyz").expect(200);
    }
    app.execute("DROP TABLE idempotency_keys; DROP TABLE tasks");
    app.anonymous().get("/readyz").assert_unavailable();
}

#[rstest]
fn a_blocked_database_does_not_affect_livez(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "300")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "300")
        .start();
    app.user("ada").has_task("t");
    let _held = app.lock();
    let ada = app.user("ada");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                ada.post("/api/tasks", json!({ "title": "t" }))
                    .assert_unavailable();
            });
        }
        for _ in 0..20 {
            app.anonymous().get("/livez").expect(200);
        }
    });
}

#[test]
fn a_service_starts_without_its_database_and_serves_once_it_is_available() {
    skip_at_a_deployment!();
    let proxy = Proxy::closed(Cluster::get().port);
    let app = start_behind(&proxy);
    let ada = app.user("ada");
    for _ in 0..3 {
        app.anonymous().get("/livez").expect(200);
        app.anonymous().get("/readyz").assert_unavailable();
        for contract in CONTRACTS {
            ada.get(&contract.tasks(&ada)).assert_unavailable();
            ada.post(&contract.tasks(&ada), json!({ "title": "t" }))
                .assert_unavailable();
            // A request that needs no database is answered.
            app.anonymous().get(&contract.tasks(&ada)).assert_unauthorized();
        }
        app.anonymous().get("/nowhere").assert_problem(404);
        assert_eq!(app.anonymous().request("HEAD", "/readyz", &[], b"").status, 503);
    }
    proxy.open();
    becomes_ready(&app);
    ada.has_task("t");
    assert_eq!(ada.titles("/api/tasks"), ["t"]);
}

#[test]
fn concurrent_probes_share_one_query() {
    skip_at_a_deployment!();
    let app = TestApp::start(Database::Postgres);
    app.user("ada").get("/api/tasks").expect(200);
    let mut held = app.connect();
    held.execute("BEGIN; LOCK TABLE __diesel_schema_migrations IN ACCESS EXCLUSIVE MODE");
    let waiting = || {
        let count = "SELECT count(*) FROM pg_stat_activity \
                     WHERE wait_event_type = 'Lock' AND datname = current_database()";
        app.value(count).unwrap().parse::<usize>().unwrap()
    };
    thread::scope(|scope| {
        let asked: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| app.anonymous().get("/readyz")))
            .collect();
        wait::until(Duration::from_secs(10), || (waiting() > 0).then_some(()))
            .expect("a probe should wait for the lock");
        thread::sleep(Duration::from_millis(500));
        assert_eq!(waiting(), 1);
        held.execute("COMMIT");
        for asked in asked {
            asked.join().unwrap().expect(200);
        }
    });
}

#[test]
fn an_overloaded_service_stays_ready() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres)
        .env("DATABASE_POOL_SIZE", "2")
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "200")
        .start();
    let ada = app.user("ada");
    ada.has_task("t");
    app.execute(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$; \
         CREATE TRIGGER slowly BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION slowly()",
    );
    let stop_flag = StopFlag::default();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut statuses = Vec::new();
                    while !stop_flag.is_set() {
                        statuses.push(ada.post("/api/tasks", json!({ "title": "t" })).status);
                    }
                    statuses
                })
            })
            .collect();
        let guard = stop_flag.guard();
        thread::sleep(Duration::from_millis(1_500));
        for _ in 0..10 {
            app.anonymous().get("/readyz").expect(200);
        }
        drop(guard);
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    let times = |status| statuses.iter().filter(|found| **found == status).count();
    assert!(times(201) > 5 && times(503) > 5, "{statuses:?}");
}

#[test]
fn readyz_follows_the_database_when_it_goes_and_comes_back() {
    skip_at_a_deployment!();
    let proxy = Proxy::closed(Cluster::get().port);
    proxy.open();
    let app = start_behind(&proxy);
    becomes_ready(&app);
    let ada = app.user("ada");
    for round in 0..2 {
        ada.has_task(&format!("{round}"));
        proxy.interrupt();
        let noticed = || (app.anonymous().get("/readyz").status == 503).then_some(());
        wait::until(Duration::from_secs(15), noticed).expect("the service should become unready");
        ada.get("/api/tasks").assert_unavailable();
        app.anonymous().get("/readyz").assert_unavailable();
        app.anonymous().get("/livez").expect(200);
        proxy.restore();
        becomes_ready(&app);
        // Ready means that the next request succeeds.
        assert_eq!(ada.titles("/api/tasks").len(), round + 1);
    }
}
