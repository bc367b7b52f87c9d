//! PostgreSQL goes away under load, and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{Over, STALL, assert_calm, is, until_ready_is, while_alive};
use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::{Actor, TestApp};

pub(super) const ACQUIRE: Duration = Duration::from_millis(1_000);
pub(super) const STATEMENT: Duration = Duration::from_millis(1_500);

fn started_on(server: &OwnPostgres) -> TestApp {
    Builder::on(Arc::new(server.database()))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", &ACQUIRE.as_millis().to_string())
        .env(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            &STATEMENT.as_millis().to_string(),
        )
        .start()
}

/// Creates tasks until it is over, and remembers those that were acknowledged. With keys, each is asked
/// for again until it is, and so takes place exactly once.
pub(super) fn write(user: &Actor, writer: usize, over: &Over) -> Vec<String> {
    let with_keys = writer % 2 == 1;
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let title = format!("{writer}-{number}");
        let body = json!({ "title": title }).to_string();
        let mut headers = vec![("content-type", "application/json")];
        if with_keys {
            headers.push(("idempotency-key", &title));
        }
        loop {
            let started = Instant::now();
            let answer = user.request("POST", "/api/tasks", &headers, body.as_bytes());
            let took = started.elapsed();
            assert!(took < ACQUIRE + STATEMENT + STALL, "{took:?} until {answer}");
            if is(201, &answer) {
                acknowledged.push(title.clone());
                break;
            }
            if !with_keys {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        if over.yet() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    acknowledged
}

with_a_process_of_its_own!(
    fn a_database_killed_three_times_under_eight_writers_loses_nothing() {
        let mut server = OwnPostgres::start();
        let app = started_on(&server);
        let ada = app.user("ada");
        let over = Over::default();
        let acknowledged: Vec<String> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let (ada, over) = (&ada, &over);
                    scope.spawn(move || write(ada, writer, over))
                })
                .collect();
            let guard = over.guard();
            while_alive(&app, Duration::from_millis(100), || {
                for round in 0..3 {
                    thread::sleep(Duration::from_millis(400));
                    match round {
                        1 => server.stop_immediately(),
                        _ => server.kill(),
                    }
                    until_ready_is(503, &app);
                    server.start_again();
                    until_ready_is(200, &app);
                }
                thread::sleep(Duration::from_millis(400));
            });
            drop(guard);
            let writers = writers.into_iter().map(|writer| writer.join());
            writers
                .flat_map(|written| written.expect("a writer goes on"))
                .collect()
        });

        let mut there: BTreeMap<String, usize> = BTreeMap::new();
        for title in ada.titles("/api/tasks") {
            *there.entry(title).or_default() += 1;
        }
        assert!(
            acknowledged.len() > 100,
            "only {} were written",
            acknowledged.len()
        );
        for title in acknowledged {
            assert_eq!(there.get(&title), Some(&1), "{title} was acknowledged once");
        }
        assert_calm(&app);
    }
);
