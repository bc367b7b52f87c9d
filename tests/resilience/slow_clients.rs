//! Slow clients are disconnected in time and do not affect other clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io, process};

use serde_json::json;

use super::watch::{MAX_PAUSE, StopFlag, TOLERANCE, assert_mostly_within};
use crate::support::{Actor, Database, TestApp, raw};

/// The service's time limit for receiving the headers of a request, and for receiving its body.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The service's time limit for a client that reads nothing of its response.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

const JSON: &str = "Content-Type: application/json";
const LENGTH: &str = "Content-Length: 1000";
const CHUNKED: &str = "Transfer-Encoding: chunked";
const IDLE_CLIENTS: usize = 2_000;

fn stream(app: &TestApp) -> TcpStream {
    let stream = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Opens a connection over which one request has been answered.
fn keep_alive(app: &TestApp) -> TcpStream {
    let mut stream = stream(app);
    let livez = raw::request(app, "GET /livez", "", &[], b"");
    stream.write_all(&livez).unwrap();
    let mut answer = [0; 4_096];
    let read = stream.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    stream
}

/// Sends one byte every 200 ms until the service closes the connection, and returns the response.
fn trickle(what: &str, mut stream: TcpStream, bytes: &[u8]) -> String {
    let started = Instant::now();
    // Waiting for a response is also the pause between two bytes.
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut said = Vec::new();
    let mut bytes = bytes.iter();
    loop {
        let took = started.elapsed();
        assert!(
            took < RECEIVE_TIMEOUT + MAX_PAUSE,
            "{what}: open after {took:?}; {}",
            text(&said)
        );
        if let Some(byte) = bytes.next()
            && stream.write_all(&[*byte]).is_err()
        {
            break;
        }
        let mut answer = [0; 4_096];
        match stream.read(&mut answer) {
            Ok(0) => break,
            Ok(read) => said.extend(&answer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    text(&said)
}

fn text(said: &[u8]) -> String {
    String::from_utf8_lossy(said).into_owned()
}

#[track_caller]
fn assert_problem_response(said: &str, status: u16) {
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    assert!(said.contains("application/problem+json"), "{said}");
}

/// Sends requests that are slow or stop within the headers or the body, all at the same time.
fn slow_senders(app: &TestApp, token: &str) {
    let long = "a".repeat(600);
    let headers = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: {long}");
    let chunks = "1\r\na\r\n".repeat(100);
    let body = |token: &str, coding: &str, sent: &str| {
        let mut stream = stream(app);
        let request = raw::request(app, "POST /api/tasks", token, &[JSON, coding], b"");
        stream
            .write_all(&[&request[..], sent.as_bytes()].concat())
            .unwrap();
        stream
    };
    thread::scope(|scope| {
        scope.spawn(|| assert_problem_response(&trickle("headers", stream(app), headers.as_bytes()), 408));
        scope.spawn(|| assert_problem_response(&trickle("half a header", stream(app), b"GET"), 408));
        scope.spawn(|| {
            let said = trickle("a second request's headers", keep_alive(app), headers.as_bytes());
            assert_problem_response(&said, 408);
        });
        scope.spawn(|| {
            assert_problem_response(
                &trickle("half of a second request's headers", keep_alive(app), b"GET"),
                408,
            );
        });
        for (coding, slow, half) in [(LENGTH, &long, "{"), (CHUNKED, &chunks, "5\r\n{")] {
            scope.spawn(move || {
                let stream = body(token, coding, "");
                assert_problem_response(
                    &trickle(&format!("a body ({coding})"), stream, slow.as_bytes()),
                    408,
                );
            });
            scope.spawn(move || {
                let stream = body(token, coding, half);
                assert_problem_response(&trickle(&format!("half a body ({coding})"), stream, b""), 408);
            });
            // The service does not wait for a body that it does not need.
            scope.spawn(move || {
                let stream = body("", coding, "");
                assert_problem_response(
                    &trickle(&format!("an unwanted body ({coding})"), stream, slow.as_bytes()),
                    401,
                );
            });
            scope.spawn(move || {
                let stream = body("", coding, half);
                assert_problem_response(
                    &trickle(&format!("half an unwanted body ({coding})"), stream, b""),
                    401,
                );
            });
        }
    });
}

/// Requests a large list many times, and reads nothing until the service should have closed the connection.
fn never_reads(app: &TestApp, user: &Actor) {
    const TIMES: usize = 20;
    let whole = user.get("/api/tasks").expect(200).body.len() * TIMES;
    let token = user.token.as_deref().unwrap();
    let mut stream = stream(app);
    let request = raw::request(app, "GET /api/tasks", token, &[], b"");
    stream.write_all(&request.repeat(TIMES)).unwrap();
    thread::sleep(READ_TIMEOUT + TOLERANCE);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("still open after {read} bytes: {error}"),
        }
    }
    assert!(
        read < whole,
        "all {whole} bytes were sent to a client that did not read"
    );
}

/// Opens many connections that send nothing, and checks that the service closes each with a 408.
fn idle(app: &TestApp) {
    let streams: Vec<TcpStream> = (0..IDLE_CLIENTS).map(|_| stream(app)).collect();
    thread::sleep(RECEIVE_TIMEOUT + TOLERANCE);
    for mut stream in streams {
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut said = Vec::new();
        stream
            .read_to_end(&mut said)
            .expect("the service should close the connection");
        assert_problem_response(&text(&said), 408);
    }
}

/// Raises the limit of open files of a process, because the default may be only 1,024.
fn allow_files(process: u32) {
    const FILES: u64 = 3 * IDLE_CLIENTS as u64;
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    if soft.is_some_and(|soft| soft < FILES) {
        let command = format!("--nofile={FILES}:");
        let status = Command::new("prlimit")
            .args(["--pid", &process.to_string(), &command])
            .status();
        assert!(
            status.unwrap().success(),
            "this test needs {FILES} open files; see ulimit -Hn"
        );
    }
}

#[test]
fn slow_clients_are_disconnected_in_time_without_affecting_others() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Sqlite).start();
    allow_files(process::id());
    allow_files(app.process_id());
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let description = "\u{1f4be}".repeat(1_000);
    for _ in 0..300 {
        ada.creates(json!({ "title": "t", "description": description }));
    }
    let task = format!("/api/tasks/{}", crate::support::task::id(&bob.has_task("t")));
    let stop_flag = StopFlag::default();
    let took = thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let mut took = Vec::new();
            while !stop_flag.is_set() {
                let started = Instant::now();
                bob.get(&task).expect(200);
                took.push(started.elapsed());
                thread::sleep(Duration::from_millis(25));
            }
            took
        });
        let guard = stop_flag.guard();
        let token = ada.token.as_deref().unwrap();
        let slow = [
            scope.spawn(|| slow_senders(&app, token)),
            scope.spawn(|| never_reads(&app, &ada)),
            scope.spawn(|| idle(&app)),
        ];
        let cut_off = slow.map(|slow| slow.join().is_ok());
        drop(guard);
        assert_eq!(
            cut_off, [true; 3],
            "expected disconnects of slow senders, of a client that never reads, and of idle clients"
        );
        neighbour.join().unwrap()
    });
    assert_mostly_within(Duration::from_millis(250), took);
    assert!(!app.log().contains("panicked"));
}
