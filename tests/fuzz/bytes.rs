//! Bytes that are nearly HTTP, or not at all.

use proptest::prelude::*;
use proptest::sample::select;

use super::request::Request;
use super::session::{each, quiet, talk};
use super::text::damaged;

on_both_databases!(
    fn no_bytes_are_too_odd(db: Database) {
        let app = quiet(db);
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
        each(&app, inputs, |bytes| {
            let said = talk(&app, &bytes);
            // Several answers may stand in it, to what was one request before.
            for status in said.split("HTTP/1.1 ").skip(1) {
                assert!(!status.starts_with('5'), "{said}");
                let problem = status.contains("content-type: application/problem+json");
                // What the HTTP parser cannot read, it answers by itself: with a status and no body.
                let bare = status.starts_with("400") && status.contains("\r\ncontent-length: 0\r\n");
                assert!(!status.starts_with('4') || problem || bare, "{said}");
            }
        });
        app.anonymous().get("/livez").expect(200);
    }
);
