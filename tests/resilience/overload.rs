//! There are many more clients than the service can serve: each call is served or refused in time, and the
//! throughput is at least half of that with few clients.

use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::watch::{StopFlag, TOLERANCE, assert_mostly_within, assert_no_errors, succeeded, while_alive};
use crate::support::raw::{self, Connection};
use crate::support::{Database, TestApp};

const ACQUIRE: Duration = Duration::from_millis(500);
const STATEMENT: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Tally {
    accepted: Vec<Duration>,
    refused: Vec<Duration>,
    megabytes: Vec<u64>,
}

/// Runs this many concurrent clients for this time. Each client repeats its request as soon as it gets the
/// response, or after `Retry-After` if it was refused. Without that pause, refusals would keep the processors
/// busy, but this test must overload the database.
fn load(app: &TestApp, clients: usize, lasting: Duration) -> Tally {
    let body = br#"{"title":"t"}"#;
    let headers = ["Content-Type: application/json", "Content-Length: 13"];
    let token = app.user("ada").token.unwrap();
    let request = raw::request(app, "POST /api/tasks", &token, &headers, body);
    let stop_flag = StopFlag::default();
    let client = || {
        let mut tally = Tally::default();
        let mut connection = Connection::open(app);
        while !stop_flag.is_set() {
            let started = Instant::now();
            let answer = connection
                .send(&request)
                .read()
                .expect("the service should answer");
            let took = started.elapsed();
            if succeeded(201, &answer) {
                tally.accepted.push(took);
            } else {
                tally.refused.push(took);
                let seconds = answer.header("retry-after").and_then(|value| value.parse().ok());
                thread::sleep(Duration::from_secs(
                    seconds.expect("the refusal should have Retry-After in seconds"),
                ));
            }
        }
        tally
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let guard = stop_flag.guard();
        let mut all = Tally::default();
        for _ in 0..10 {
            thread::sleep(lasting / 10);
            all.megabytes.push(memory_of(app));
        }
        drop(guard);
        for tally in clients.into_iter().map(|client| client.join().unwrap()) {
            all.accepted.extend(tally.accepted);
            all.refused.extend(tally.refused);
        }
        all
    })
}

/// Returns the resident memory of the process in MiB.
fn memory_of(app: &TestApp) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process_id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes >> 10
}

#[test]
fn three_hundred_clients_are_served_or_refused_in_time() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres)
        // One user's writes use at most one of four connections.
        .env("DATABASE_POOL_SIZE", "4")
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", &ACQUIRE.as_millis().to_string())
        .env(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            &STATEMENT.as_millis().to_string(),
        )
        .start();
    app.user("ada").has_task("first");
    // With one connection for writes, the trigger limits the database to 50 inserts per second, so that the
    // database is the bottleneck and not this machine.
    app.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_sleep(0.02); RETURN new; END'; \
         CREATE TRIGGER slow BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let lasting = Duration::from_secs(2);
    let best = load(&app, 8, lasting);
    let warm = load(&app, 300, lasting);
    let overloaded = while_alive(&app, || load(&app, 300, lasting * 2));

    assert!(
        best.refused.len() * 10 <= best.accepted.len(),
        "eight clients should be served"
    );
    assert!(overloaded.refused.len() > 100, "the service was not overloaded");
    let (best, kept) = (best.accepted.len(), overloaded.accepted.len() / 2);
    assert!(kept * 2 >= best, "{kept} responses instead of {best}");
    assert_mostly_within(ACQUIRE + STATEMENT, overloaded.accepted);
    assert_mostly_within(ACQUIRE + TOLERANCE / 2, overloaded.refused);
    let before = warm.megabytes.iter().max().unwrap();
    let after = overloaded.megabytes.iter().max().unwrap();
    assert!(*after <= before + 16, "{before} MiB have become {after} MiB");
    assert_no_errors(&app);
}

#[test]
fn five_hundred_clients_can_connect_at_once() {
    skip_at_a_deployment!();
    let app = TestApp::start(Database::Sqlite);
    let address = app.base_url().trim_start_matches("http://").parse().unwrap();
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: u32 = most.trim().parse().unwrap();
    assert!(
        most >= 500,
        "this machine lets {most} wait: sysctl net.core.somaxconn=4096"
    );
    // While the service is stopped, the kernel queues new connections. If the queue were full, a client's
    // kernel would retry only after a second, and the connection attempt would time out.
    app.signal("-STOP");
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(500));
    let connected: Vec<_> = (0..500)
        .map(connect)
        .take_while(std::result::Result::is_ok)
        .collect();
    app.signal("-CONT");
    assert_eq!(connected.len(), 500);
    app.anonymous().get("/livez").expect(200);
}
