//! More idle clients connect than the process may have open files.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::watch::MAX_PAUSE;
use crate::support::raw::{self, Connection};
use crate::support::{Database, TestApp};

const LOW_FILE_LIMIT: [&str; 4] = ["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"];
const CLIENTS: usize = 400;

fn silent_clients(app: &TestApp) -> Vec<TcpStream> {
    let address = app.base_url().trim_start_matches("http://");
    (0..CLIENTS)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect()
}

/// Opens `CLIENTS` connections, sends a request and reads the response over each, and keeps them open.
fn idle_clients(app: &TestApp) -> Vec<TcpStream> {
    let request = raw::request(app, "GET /livez", "", &[], b"");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(&request).unwrap();
        let mut answer = [0; 4_096];
        let read = client.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        clients.push(client);
    }
    clients
}

/// Checks that new connections are served before idle ones time out.
#[track_caller]
fn assert_others_are_served(app: &TestApp) {
    let token = app.user("bob").token.unwrap();
    for line in ["GET /livez", "GET /readyz", "GET /api/tasks", "GET /livez"] {
        let started = Instant::now();
        let request = raw::request(app, line, &token, &[], b"");
        let answer = Connection::open(app)
            .send(request)
            .read()
            .expect("the service should answer");
        assert_eq!(answer.status, 200, "{line}: {answer}");
        let took = started.elapsed();
        assert!(took < MAX_PAUSE, "{line} took {took:?}");
    }
}

#[test]
fn idle_clients_do_not_block_other_clients() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite)
        .through(&LOW_FILE_LIMIT)
        .start();
    app.user("bob").has_task("Buy milk");
    for clients in [silent_clients, idle_clients] {
        let _clients = clients(&app);
        assert_others_are_served(&app);
    }
    let log = app.log();
    assert!(log.contains("from an open file limit of 256"), "{log}");
    let closed = log.matches("client connections on one worker thread: idle ones are closed");
    assert_eq!(closed.count(), 1, "there should be one line per minute: {log}");
    assert!(!log.contains("Too many open files"), "{log}");
}

#[test]
fn a_request_in_flight_is_not_closed_for_new_clients() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite)
        .through(&LOW_FILE_LIMIT)
        .start();
    let ada = app.user("ada");
    ada.has_task("before");
    thread::scope(|scope| {
        let held = app.lock();
        let call = scope.spawn(|| ada.post("/api/tasks", json!({ "title": "in flight" })));
        thread::sleep(Duration::from_millis(300));
        let clients = silent_clients(&app);
        thread::sleep(Duration::from_millis(300));
        drop(held);
        call.join().unwrap().expect(201);
        drop(clients);
    });
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    skip_at_a_deployment!();
    let soft = ["sh", "-c", "ulimit -S -n 256; exec \"$@\"", "sh"];
    let app = TestApp::builder(Database::Sqlite).through(&soft).start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", app.process_id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let values: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_ne!(values[0], "256", "{line}");
    assert_eq!(values[0], values[1], "{line}");
    assert!(
        app.log().contains("open file limit raised from 256 to "),
        "{}",
        app.log()
    );
}
