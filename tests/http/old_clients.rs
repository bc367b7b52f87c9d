//! Clients that speak HTTP/1.0.

use rstest::rstest;

use crate::support::raw::Connection;
use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_long_list_is_not_sent_in_chunks_to_an_http_1_0_client(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("the first");
    app.execute(&format!(
        "INSERT INTO tasks (user_id, title) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < 600) SELECT '{}', 'task' FROM n",
        ada.id
    ));
    let token = ada.token.clone().unwrap();
    let request = format!("GET /api/tasks HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
    let response = Connection::open(&app).send(request).read().expect("a response");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("transfer-encoding"), None, "{response}");
    assert_eq!(response.json().as_array().unwrap().len(), 601);
}
