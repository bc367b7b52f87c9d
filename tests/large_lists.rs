//! Very long lists: one of 100,000 tasks, and several that the client does not read.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::task::assert_is_task;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Response, Sqlite, TestApp, raw, wait};

const TASKS: usize = 100_000;
const CONCURRENT_READERS: usize = 4;

/// The allowed growth of the service's memory while it writes long lists, in KiB. The service keeps a few
/// batches of each list in memory and never a whole list.
const MAX_GROWTH_KIB: u64 = 96 * 1024;

/// This timeout is long because an unoptimized build on a busy machine is slow.
const TIMEOUT: Duration = Duration::from_secs(150);

fn start(database: Database) -> TestApp {
    // These tests measure memory, not time, so the timeouts are long.
    TestApp::builder(database)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "5000")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "150000")
        .start()
}

/// Inserts `TASKS` tasks directly into the database, as another program would.
fn insert(app: &TestApp, owner: &Actor) {
    let owner = &owner.id;
    app.execute(&match app.kind {
        Database::Postgres => format!(
            "INSERT INTO tasks (user_id, title, description, completed) \
             SELECT '{owner}', 'task ' || n, 'what is to be done about ' || n, n % 2 = 0 \
             FROM generate_series(1, {TASKS}) n"
        ),
        Database::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {TASKS}) \
             INSERT INTO tasks (user_id, title, description, completed) \
             SELECT '{owner}', 'task ' || n, 'what is to be done about ' || n, n % 2 = 0 FROM numbers"
        ),
    });
}

/// Returns the service's resident memory in KiB.
fn resident(app: &TestApp) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure.expect("VmRSS").parse().unwrap()
}

/// Sends a request and returns the connection without reading the response. A read from the connection waits
/// up to `TIMEOUT`, which is longer than the timeout of the test client.
fn ask(app: &TestApp, user: &Actor, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let token = user.token.as_deref().unwrap();
    let request = raw::request(app, &format!("GET {path}"), token, &["Connection: close"], b"");
    stream.write_all(&request).unwrap();
    stream
}

/// Reads a response to its end and discards it. Returns the number of bytes after the headers, or `None` for
/// a 503, which the service sends while the user has the maximum number of long lists in progress.
fn read_through(app: &TestApp, user: &Actor, path: &str) -> Option<usize> {
    let mut stream = BufReader::new(ask(app, user, path));
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    if line == "HTTP/1.1 503 Service Unavailable\r\n" {
        return None;
    }
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    Some(io::copy(&mut stream, &mut io::sink()).unwrap() as usize)
}

#[track_caller]
fn assert_whole(answer: &Response) {
    // Most elements of the array stay unparsed, because 100,000 parsed tasks would need a lot of memory.
    let tasks: Vec<&RawValue> = serde_json::from_slice(&answer.body).expect("an array");
    assert_eq!(tasks.len(), TASKS);
    for (at, title) in [(0, format!("task {TASKS}")), (TASKS - 1, "task 1".to_owned())] {
        let task: Value = serde_json::from_str(tasks[at].get()).unwrap();
        assert_is_task(&task);
        assert_eq!(task["title"], title);
    }
}

#[rstest]
fn a_list_of_a_hundred_thousand_tasks_is_complete_and_concurrent_ones_need_little_memory(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let app = start(db);
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    insert(&app, &ada);
    let before = resident(&app);

    let list = ada.get(&Contract::A.tasks(&ada)).expect(200);
    assert_eq!(list.header("link"), None);
    assert_whole(&list);
    let one = list.body.len();
    let tag = list.header("etag").expect("an ETag");
    let known = [("if-none-match", tag)];
    let again = ada.request("GET", &Contract::B.tasks(&ada), &known, b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = ada
        .request("HEAD", &Contract::A.tasks(&ada), &[], b"")
        .expect(200);
    assert_eq!((head.header("etag"), head.body.len()), (Some(tag), 0));

    let mut peak = 0;
    thread::scope(|scope| {
        let (app, ada) = (&app, &ada);
        let calls: Vec<_> = (0..CONCURRENT_READERS)
            .map(|number| {
                let path = CONTRACTS[number % 2].tasks(ada);
                scope.spawn(move || {
                    let read = || read_through(app, ada, &path);
                    // This number is larger than `one`, because it includes the chunk headers.
                    assert!(wait::until(TIMEOUT, read).expect("the list should arrive") > one);
                })
            })
            .collect();
        wait::until(TIMEOUT, || {
            peak = peak.max(resident(app));
            calls
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
                .then_some(())
        })
        .expect("all lists should be read");
    });
    println!(
        "{:?}: a list of {} KiB; resident KiB: {before} before, {peak} at most",
        app.kind,
        one / 1024
    );
    assert!(
        peak <= before + MAX_GROWTH_KIB,
        "the memory grew from {before} KiB to {peak} KiB"
    );
}

/// Inserts 8 MB of text that become 48 MB of JSON, because each byte is written as `\u0001`.
fn insert_long_ones(app: &TestApp, owner: &Actor) {
    let owner = &owner.id;
    app.execute(&match app.kind {
        Database::Postgres => format!(
            "INSERT INTO tasks (user_id, title, description, completed) \
             SELECT '{owner}', 't', repeat(chr(1), 1000), false FROM generate_series(1, 8000)"
        ),
        Database::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 8000) \
             INSERT INTO tasks (user_id, title, description, completed) \
             SELECT '{owner}', 't', replace(hex(zeroblob(500)), '0', char(1)), false FROM numbers"
        ),
    });
}

/// Reads enough to keep the service from aborting the response.
fn read_some(stream: &mut TcpStream) {
    stream.read_exact(&mut vec![0; 256 * 1024]).unwrap();
}

/// Requests the whole list and reads only the beginning of the status line.
fn status_of(app: &TestApp, user: &Actor) -> (TcpStream, String) {
    let mut stream = ask(app, user, "/api/tasks");
    let mut line = vec![0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).unwrap();
    (stream, String::from_utf8(line).unwrap())
}

#[rstest]
fn unread_long_lists_do_not_exhaust_the_memory(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let eve = app.user("eve");
    eve.get("/api/tasks").expect(200);
    insert_long_ones(&app, &eve);
    let ada = app.user("ada");
    let task = ada.has_task("t");
    let before = resident(&app);

    let mut unread = Vec::new();
    let refused = loop {
        // The service disconnects a client that reads nothing for 20 seconds, and a slow machine may need
        // that long for the requests.
        for stream in &mut unread {
            read_some(stream);
        }
        let (stream, status) = status_of(&app, &eve);
        match status.as_str() {
            "HTTP/1.1 200" => unread.push(stream),
            "HTTP/1.1 503" => break stream,
            other => panic!("{other}"),
        }
        assert!(unread.len() < 5, "the service should refuse one of the lists");
    };
    let grown = resident(&app) - before;
    assert!(grown < 2 * MAX_GROWTH_KIB, "the memory grew by {grown} KiB");
    // Short lists are still served: those of other users, and pages.
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
    assert_eq!(
        eve.get("/api/tasks?limit=2")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let mut problem = String::new();
    BufReader::new(refused)
        .take(1_000)
        .read_to_string(&mut problem)
        .ok();
    assert!(problem.to_lowercase().contains("retry-after: "), "{problem}");
    assert!(problem.contains("limit"), "{problem}");
    // Long lists of other users are still served as well.
    insert_long_ones(&app, &ada);
    unread.iter_mut().for_each(read_some);
    let (_others, status) = status_of(&app, &ada);
    assert_eq!(status, "HTTP/1.1 200");

    drop(unread);
    let served = || (status_of(&app, &eve).1 == "HTTP/1.1 200").then_some(());
    wait::until(Duration::from_secs(15), served).expect("long lists should be served again");
}
