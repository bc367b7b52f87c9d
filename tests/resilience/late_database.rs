//! The database is not there when the service starts.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{STALL, until_ready_is, while_alive};
use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::{CONTRACTS, OwnDatabase, TestApp};

fn impatient(database: OwnDatabase) -> TestApp {
    Builder::on(Arc::new(database))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "500")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "1000")
        .without_its_database()
        .start()
}

/// 503 for what needs the database, and everything else as ever.
fn assert_refuses(app: &TestApp) {
    let ada = app.user("ada");
    while_alive(app, Duration::from_millis(100), || {
        app.anonymous().get("/readyz").assert_unavailable();
        for contract in CONTRACTS {
            for (method, path) in contract.routes(&ada, 1) {
                if method == "HEAD" {
                    continue;
                }
                let body = json!({ "title": "t", "completed": true });
                let started = Instant::now();
                let answer = match method {
                    "GET" | "DELETE" => ada.request(method, &path, &[], &[]),
                    _ => ada.json(method, &path, &body),
                };
                answer.assert_unavailable();
                assert!(started.elapsed() < Duration::from_millis(1_500) + STALL);
            }
            app.anonymous().get(&contract.tasks(&ada)).assert_unauthorized();
            let nothing = ada.post(&contract.tasks(&ada), json!({}));
            nothing.assert_bad_fields(contract, &["title"]);
        }
        app.anonymous().get("/nowhere").assert_problem(404);
        app.anonymous().get("/openapi.json").expect(200);
    });
}

with_a_process_of_its_own!(
    fn a_database_that_comes_later_than_the_service_is_taken_up_without_a_restart() {
        let mut server = OwnPostgres::prepare();
        let mut app = impatient(server.database());
        assert_refuses(&app);
        server.start_again();
        until_ready_is(200, &app);
        let ada = app.user("ada");
        let task = ada.has_task("at last");
        assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
        assert_eq!(app.value("SELECT count(*) FROM tasks").as_deref(), Some("1"));
        assert!(app.process().ended().is_none());
    }

    fn a_database_that_takes_connections_and_says_nothing_is_503_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let app = impatient(OwnDatabase::of_server(url, port));
        assert_refuses(&app);
    }

    fn a_start_does_not_wait_for_the_database() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let app = Builder::on(Arc::new(OwnDatabase::of_server(url, port)))
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "30000")
            .without_its_database()
            .start();
        app.anonymous().get("/livez").expect(200);
        // The first attempt is still under way.
        assert!(!app.log().contains("trying again"), "{}", app.log());
    }
);
