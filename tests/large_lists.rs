//! Lists without end: of 100,000 tasks, which nobody should ask for and somebody will, and many that nobody reads.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::task::assert_is_task;
use crate::support::{Actor, CONTRACTS, Contract, Database, Response, TestApp, raw, wait};

const TASKS: usize = 100_000;
const AT_ONCE: usize = 4;

/// What may come on top of the service's memory while it writes long lists, in KiB: it has some portions of each
/// in memory, and never a whole one.
const MAY_GROW: u64 = 96 * 1024;

/// An unoptimized build on a busy machine takes its time; an idle one needs a tenth of that.
const PATIENCE: Duration = Duration::from_secs(150);

fn start(database: Database) -> TestApp {
    // What is measured is memory, and not time.
    TestApp::builder(database)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "5000")
        .env("DATABASE_STATEMENT_TIMEOUT_MS", "150000")
        .start()
}

/// As another program on the same database inserts them.
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

/// The service's resident memory in KiB.
fn resident(app: &TestApp) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure.expect("VmRSS").parse().unwrap()
}

/// Asks, and leaves the answer unread. Unlike our client, it waits for as long as the service may take.
fn ask(app: &TestApp, user: &Actor, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = user.token.as_deref().unwrap();
    let request = raw::request(app, &format!("GET {path}"), token, &["Connection: close"], b"");
    stream.write_all(&request).unwrap();
    stream
}

/// Reads an answer to its end and keeps nothing of it: how many bytes came, or none if the call was refused, as it
/// is while the user has as many long lists under way as a user may have.
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
    // Taken apart no further than into tasks: a hundred thousand of them are a lot of memory here, too.
    let tasks: Vec<&RawValue> = serde_json::from_slice(&answer.body).expect("an array");
    assert_eq!(tasks.len(), TASKS);
    for (at, title) in [(0, format!("task {TASKS}")), (TASKS - 1, "task 1".to_owned())] {
        let task: Value = serde_json::from_str(tasks[at].get()).unwrap();
        assert_is_task(&task);
        assert_eq!(task["title"], title);
    }
}

on_both_databases!(
    fn a_hundred_thousand_tasks_come_in_one_list_and_ten_of_those_leave_the_memory_flat(db: Database) {
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
            let calls: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let path = CONTRACTS[number % 2].tasks(ada);
                    scope.spawn(move || {
                        let read = || read_through(app, ada, &path);
                        // What makes chunks of it comes on top.
                        assert!(wait::until(PATIENCE, read).expect("an answer") > one);
                    })
                })
                .collect();
            wait::until(PATIENCE, || {
                peak = peak.max(resident(app));
                calls.iter().all(|call| call.is_finished()).then_some(())
            })
            .expect("an end");
        });
        println!(
            "{:?}: a list of {} KiB; resident KiB: {before} before, {peak} at most",
            app.kind,
            one / 1024
        );
        assert!(peak <= before + MAY_GROW, "{peak} KiB, {before} KiB before");
    }
);

/// 48 MB of JSON in 8 MB of database: what JSON writes as `\\u0001` is one byte there.
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

/// As little as keeps an answer from being given up.
fn read_some(stream: &mut TcpStream) {
    stream.read_exact(&mut vec![0; 256 * 1024]).unwrap();
}

/// Asks for the whole list and reads no more than how that is answered.
fn status_of(app: &TestApp, user: &Actor) -> (TcpStream, String) {
    let mut stream = ask(app, user, "/api/tasks");
    let mut line = vec![0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).unwrap();
    (stream, String::from_utf8(line).unwrap())
}

on_both_databases!(
    fn whoever_reads_none_of_many_long_lists_does_not_take_the_memory_of_all(db: Database) {
        let app = start(db);
        let eve = app.user("eve");
        eve.get("/api/tasks").expect(200);
        insert_long_ones(&app, &eve);
        let ada = app.user("ada");
        let task = ada.has_task("t");
        let before = resident(&app);

        let mut unread = Vec::new();
        let refused = loop {
            // Whoever reads nothing for some time is cut off; and on a slow machine that time comes.
            for stream in &mut unread {
                read_some(stream);
            }
            let (stream, status) = status_of(&app, &eve);
            match status.as_str() {
                "HTTP/1.1 200" => unread.push(stream),
                "HTTP/1.1 503" => break stream,
                other => panic!("{other}"),
            }
            assert!(unread.len() < 5, "all of them are taken on");
        };
        let grown = resident(&app) - before;
        assert!(grown < 2 * MAY_GROW, "{grown} KiB");
        // Whoever asks for less is served: others, and pages.
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
        // Long ones too, if they are somebody else's.
        insert_long_ones(&app, &ada);
        unread.iter_mut().for_each(read_some);
        let (_others, status) = status_of(&app, &ada);
        assert_eq!(status, "HTTP/1.1 200");

        drop(unread);
        let served = || (status_of(&app, &eve).1 == "HTTP/1.1 200").then_some(());
        wait::until(Duration::from_secs(15), served).expect("room again");
    }
);
