//! Bytes that are damaged HTTP requests, or not HTTP at all.

use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::request::Request;
use super::session::{exchange, run_cases, start};
use super::text::damaged;
use crate::support::{Database, Postgres, Sqlite};

#[rstest]
fn arbitrary_bytes_cause_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let token = app.user("ada").token.unwrap();
    let create = Request::new("POST", "/api/tasks", &token).json(br#"{"title":"t"}"#.to_vec());
    let mut in_chunks = create.clone();
    in_chunks.in_chunks = true;
    let whole = [&create.bytes()[..], &Request::get("/livez", "").bytes()].concat();
    let requests = select(vec![create.bytes(), in_chunks.bytes(), whole]);
    let inputs = prop_oneof![
        5 => damaged(requests),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    run_cases(&app, inputs, |bytes| {
        let said = exchange(&app, &bytes);
        // The text may contain several responses, because some inputs are read as several requests.
        for status in said.split("HTTP/1.1 ").skip(1) {
            assert!(!status.starts_with('5'), "{said}");
            let problem = status.contains("content-type: application/problem+json");
            // The HTTP parser answers malformed requests itself, with a status and an empty body.
            let bare = status.starts_with("400") && status.contains("\r\ncontent-length: 0\r\n");
            assert!(!status.starts_with('4') || problem || bare, "{said}");
        }
    });
    app.anonymous().get("/livez").expect(200);
}
