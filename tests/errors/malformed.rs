//! Requests that are not valid HTTP or not complete, and several requests over one connection.

use std::time::Duration;

use rstest::rstest;

use crate::support::raw::{self, Connection};
use crate::support::wait;
use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn malformed_http_is_a_bare_400_and_closes_the_connection(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let token = app.user("ada").token.unwrap();
    for (what, request) in [
        (
            "a header without a colon",
            "GET /api/tasks HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        ),
        (
            "a space in a header's name",
            "GET /livez HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n",
        ),
        (
            "a control character",
            "GET /livez HTTP/1.1\r\nHost: x\r\na: b\0c\r\n\r\n",
        ),
        ("no version", "GET /livez\r\n\r\n"),
        ("another protocol", "GET /livez FTP/1.1\r\nHost: x\r\n\r\n"),
        (
            "an empty header name",
            "GET /livez HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        ),
        (
            "a length that is not a number",
            "POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        ),
        (
            "a negative length",
            "POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        ),
    ] {
        let request = request.replace("Host: x", &format!("Authorization: Bearer {token}\r\nHost: x"));
        let mut connection = Connection::open(&app);
        let answer = connection.send(request).read();
        let answer = answer.unwrap_or_else(|| panic!("{what}: no response"));
        assert_eq!(answer.status, 400, "{what}: {answer}");
        assert_eq!(answer.body, b"", "{what}");
        assert!(connection.read().is_none(), "{what}");
    }
    app.anonymous().get("/livez").expect(200);
}

#[rstest]
fn headers_that_are_too_long_are_a_bare_431(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let long = format!("X-Long: {}", "a".repeat(200_000));
    let request = raw::request(&app, "GET /livez", "", &[&long], b"");
    let answer = Connection::open(&app)
        .send(request)
        .read()
        .expect("the service should answer");
    assert_eq!(answer.status, 431, "{answer}");
    assert_eq!(answer.body, b"");
}

#[rstest]
fn a_header_that_is_not_ascii_is_not_a_server_error(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let token = app.user("ada").token.unwrap();
    for header in [
        "X-Request-Id: \u{e9}\u{e9}",
        "Accept: \u{fc}",
        "Origin: \u{fc}",
        "X-Any: 😀",
    ] {
        let request = raw::request(&app, "GET /api/tasks", &token, &[header], b"");
        let answer = Connection::open(&app)
            .send(request)
            .read()
            .expect("the service should answer");
        assert!(answer.status == 200 || answer.status == 400, "{header}: {answer}");
    }
    let mut request = raw::request(&app, "GET /api/tasks", "", &[], b"");
    let end = request.len() - 2;
    request.splice(end..end, b"Authorization: Bearer \xff\xfe\r\n".iter().copied());
    let answer = Connection::open(&app)
        .send(request)
        .read()
        .expect("the service should answer");
    answer.assert_unauthorized();
}

#[rstest]
fn incomplete_requests_do_not_block_other_clients(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let mut open: Vec<Connection> = Vec::new();
    for bytes in [
        &b""[..],
        b"G",
        b"\r\n",
        b"\x16\x03\x01",
        b"GET /livez HTTP/1.1\r\nHost:",
    ] {
        let mut connection = Connection::open(&app);
        connection.send(bytes);
        open.push(connection);
    }
    for _ in 0..10 {
        app.anonymous().get("/livez").expect(200);
        app.user("ada").get("/api/tasks").expect(200);
    }
}

#[rstest]
fn a_client_that_disconnects_within_a_body_does_no_harm(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    for _ in 0..5 {
        let headers = ["Content-Type: application/json", "Content-Length: 500"];
        let request = raw::request(&app, "POST /api/tasks", &token, &headers, b"{\"title\":\"half");
        Connection::open(&app).send(request);
    }
    let alive = || (ada.get("/api/tasks").status == 200).then_some(());
    wait::until(Duration::from_secs(5), alive).expect("the service should still answer");
    assert_eq!(ada.titles("/api/tasks"), Vec::<String>::new());
}

#[rstest]
fn one_connection_serves_many_requests(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let token = ada.token.clone().unwrap();
    let mut connection = Connection::open(&app);
    let get = raw::request(&app, "GET /api/tasks", &token, &[], b"");
    let bad = raw::request(
        &app,
        "POST /api/tasks",
        &token,
        &["Content-Type: application/json", "Content-Length: 2"],
        b"{}",
    );
    let unknown = raw::request(&app, "GET /nowhere", "", &[], b"");
    // An error does not close the connection.
    for (request, status) in [(&get, 200), (&bad, 400), (&unknown, 404), (&get, 200)] {
        let answer = connection
            .send(request)
            .read()
            .expect("the service should answer");
        assert_eq!(answer.status, status, "{answer}");
    }
    // The responses to pipelined requests are in the order of the requests.
    connection.send([&get[..], &unknown, &get].concat());
    let statuses = [(); 3].map(|()| connection.read().expect("the service should answer").status);
    assert_eq!(statuses, [200, 404, 200]);
}
