//! Concurrent writers for tests that interrupt the database: every acknowledged task must exist.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::{MAX_PAUSE, StopFlag, succeeded};
use crate::support::app::Builder;
use crate::support::{Actor, OwnDatabase, TestApp};

const ACQUIRE: Duration = Duration::from_secs(1);
const STATEMENT: Duration = Duration::from_millis(1_500);

/// Starts a service with the timeouts that `written_while` allows for. `url` is the URL at which the service
/// finds the database.
pub fn started_on(database: OwnDatabase, url: &str) -> TestApp {
    Builder::on(Arc::new(database))
        .env("DATABASE_URL", url)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", &ACQUIRE.as_millis().to_string())
        .env(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            &STATEMENT.as_millis().to_string(),
        )
        .start()
}

/// Runs `work` while this many writers create tasks, and returns the titles of the acknowledged tasks.
pub fn written_while(user: &Actor, writers: usize, work: impl FnOnce()) -> Vec<String> {
    let stop_flag = StopFlag::default();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                let stop_flag = &stop_flag;
                scope.spawn(move || write(user, writer, stop_flag))
            })
            .collect();
        let guard = stop_flag.guard();
        work();
        drop(guard);
        let writers = writers.into_iter().map(std::thread::ScopedJoinHandle::join);
        writers
            .flat_map(|written| written.expect("a writer should not fail"))
            .collect()
    })
}

/// Creates tasks until `stop_flag` is set. Every other writer uses idempotency keys and repeats each request
/// until the task is acknowledged or `stop_flag` is set, so that no task is created twice.
fn write(user: &Actor, writer: usize, stop_flag: &StopFlag) -> Vec<String> {
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
            assert!(took < ACQUIRE + STATEMENT + MAX_PAUSE, "{took:?} until {answer}");
            if succeeded(201, &answer) {
                acknowledged.push(title.clone());
                break;
            }
            if !with_keys || stop_flag.is_set() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        if stop_flag.is_set() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    acknowledged
}

/// Checks that there are at least `least` acknowledged titles, and that each belongs to exactly one task.
#[track_caller]
pub fn assert_each_is_there_once(user: &Actor, titles: &[String], least: usize) {
    assert!(titles.len() >= least, "only {} were written", titles.len());
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for title in user.titles("/api/tasks") {
        *there.entry(title).or_default() += 1;
    }
    for title in titles {
        assert_eq!(there.get(title), Some(&1), "{title} was acknowledged once");
    }
}
