//! SIGTERM during work: every request that was sent before is answered, and idle connections do not delay the
//! exit.

use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;

use super::watch::assert_no_errors;
use crate::support::raw::{self, Connection};
use crate::support::{Database, Postgres, Sqlite, TestApp};

const JSON: &str = "Content-Type: application/json";

fn create(app: &TestApp, token: &str, title: &str) -> Vec<u8> {
    let body = format!(r#"{{"title":"{title}"}}"#);
    let length = format!("Content-Length: {}", body.len());
    raw::request(app, "POST /api/tasks", token, &[JSON, &length], body.as_bytes())
}

/// Creates tasks over one connection until it is closed. Returns the acknowledged titles, and the time at
/// which the unanswered request was sent, if there is one.
fn write(app: &TestApp, token: &str, writer: usize) -> (Vec<String>, Option<Instant>) {
    let mut connection = Connection::open(app);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let title = format!("{writer}-{number}");
        connection.send(create(app, token, &title));
        let sent = Instant::now();
        let Some(answer) = connection.read() else {
            return (acknowledged, Some(sent));
        };
        assert_eq!(answer.status, 201, "{answer}");
        acknowledged.push(title);
        if answer.header("connection") == Some("close") {
            break;
        }
    }
    (acknowledged, None)
}

#[rstest]
fn every_request_before_the_signal_is_answered(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("first");
    let token = ada.token.as_deref().unwrap();
    let (signalled, written) = thread::scope(|scope| {
        let app = &app;
        let writers: Vec<_> = (0..16)
            .map(|writer| scope.spawn(move || write(app, token, writer)))
            .collect();
        thread::sleep(Duration::from_millis(500));
        let signalled = Instant::now();
        app.signal("-TERM");
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        (signalled, written)
    });
    let status = app.process().wait(Duration::from_secs(10));
    assert!(status.expect("the process should exit in time").success());
    let there = app.values("SELECT title FROM tasks");
    assert!(written.iter().any(|(acknowledged, _)| !acknowledged.is_empty()));
    for (acknowledged, unanswered) in written {
        // A request may be sent while its connection is being closed, but every request before the signal
        // must be answered.
        assert!(unanswered.is_none_or(|sent| sent > signalled));
        for title in acknowledged {
            assert!(there.contains(&Some(title.clone())), "{title} was acknowledged");
        }
    }
    assert_no_errors(&app);
}

#[rstest]
fn idle_connections_are_closed_while_the_shutdown_waits_for_requests(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("first");
    let token = ada.token.clone().unwrap();
    let livez = raw::request(&app, "GET /livez", "", &[], b"");
    let mut resting: Vec<Connection> = (0..20)
        .map(|_| {
            let mut connection = Connection::open(&app);
            assert_eq!(
                connection
                    .send(&livez)
                    .read()
                    .expect("the service should answer")
                    .status,
                200
            );
            connection
        })
        .collect();
    // One request waits for a lock, and the body of another has not arrived completely.
    let held = app.lock();
    let mut waiting = Connection::open(&app);
    waiting.send(create(&app, &token, "waited"));
    let request = create(&app, &token, "slowly sent");
    let (start, end) = request.split_at(request.len() - 5);
    let mut sending = Connection::open(&app);
    sending.send(start);
    thread::sleep(Duration::from_millis(300));

    app.signal("-TERM");
    let started = Instant::now();
    for connection in &mut resting {
        assert!(connection.read().is_none(), "an idle connection should be closed");
    }
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert!(
        app.process().ended().is_none(),
        "the process should wait for two requests"
    );
    sending.send(end);
    drop(held);
    for mut connection in [waiting, sending] {
        let answer = connection.read().expect("the service should answer");
        assert_eq!(answer.status, 201, "{answer}");
    }
    let status = app.process().wait(Duration::from_secs(5));
    assert!(
        status
            .expect("the process should exit after the last response")
            .success()
    );
}
