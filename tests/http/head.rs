//! `HEAD` has the same status and headers as `GET`, and no body.

use rstest::rstest;

use crate::support::raw::{self, Connection};
use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Response, Sqlite, TestApp};

/// Returns the headers that must be the same in both responses. The members of a list header may be in any
/// order.
fn headers(answer: &Response) -> Vec<(String, Vec<String>)> {
    let names = answer.headers.keys().map(ToString::to_string);
    let names = names.filter(|name| !matches!(&**name, "date" | "x-request-id"));
    let mut headers: Vec<_> = names
        .map(|name| (name.clone(), answer.list_header(&name)))
        .collect();
    headers.sort();
    headers
}

#[rstest]
fn head_is_get_without_the_body(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    let mut paths = vec![
        "/livez".to_owned(),
        "/nowhere".to_owned(),
        "/api/unknown".to_owned(),
    ];
    for contract in CONTRACTS {
        paths.push(contract.tasks(&ada));
        paths.push(format!("{}?status=completed&sort=title", contract.tasks(&ada)));
        paths.push(contract.task(&ada, task));
    }
    for path in paths {
        let get = ada.get(&path);
        let head = ada.request("HEAD", &path, &[], b"");
        assert_eq!(head.status, get.status, "{head}");
        assert_eq!(head.body, b"");
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{head}");
        assert_eq!(headers(&head), headers(&get), "{path}");
    }
}

#[rstest]
fn head_fails_like_get(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let tasks = contract.tasks(&ada);
        assert_eq!(app.anonymous().request("HEAD", &tasks, &[], b"").status, 401);
        let wrong = format!("{tasks}?sort=wrong");
        assert_eq!(ada.request("HEAD", &wrong, &[], b"").status, contract.bad_input());
        assert_eq!(
            ada.request("HEAD", &contract.task(&ada, "abc"), &[], b"").status,
            404
        );
    }
}

#[rstest]
fn no_body_follows_a_head_on_the_wire(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("Buy milk");
    let token = ada.token.clone().unwrap();
    let mut connection = Connection::open(&app);
    for path in ["/api/tasks", "/api/tasks/abc", "/nowhere"] {
        connection.send(raw::request(&app, &format!("HEAD {path}"), &token, &[], b""));
        connection.read_head().expect("the service should answer");
    }
    // If a HEAD response had a body, it would be read in place of this response.
    connection.send(raw::request(&app, "GET /livez", "", &[], b""));
    assert_eq!(connection.read().expect("the service should answer").status, 200);
}
