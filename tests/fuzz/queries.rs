//! Paths, queries and cursors.

use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::request::{Request, for_a_request_line};
use super::session::{Session, run_cases, start};
use super::text::{damaged, word};
use crate::support::{Database, Postgres, Sqlite};

const PARAMETERS: [&str; 6] = ["status", "sort", "limit", "cursor", "limit", "other"];

fn query(cursors: Vec<String>) -> impl Strategy<Value = String> {
    let ascii = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let cursor = select(cursors);
    let with_cursor = prop_oneof![
        1 => cursor.clone(),
        3 => damaged(cursor.prop_map(String::into_bytes)).prop_map(ascii),
        1 => "[A-Za-z0-9_-]{0,120}",
    ];
    let pair = (select(&PARAMETERS[..]), word()).prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        3 => prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&")),
        3 => (select(vec!["created", "title", "due_date"]), with_cursor)
            .prop_map(|(sort, cursor)| format!("sort={sort}&limit=2&cursor={cursor}")),
        1 => any::<String>(),
    ]
}

fn path(user: String) -> impl Strategy<Value = String> {
    let user = prop_oneof![2 => Just(user), 1 => word()];
    prop_oneof![
        2 => Just("/api/tasks".to_owned()),
        1 => word().prop_map(|id| format!("/api/tasks/{id}")),
        1 => user.clone().prop_map(|user| format!("/api/{user}/tasks")),
        1 => (user, word()).prop_map(|(user, id)| format!("/api/{user}/tasks/{id}")),
        1 => any::<String>().prop_map(|path| format!("/{path}")),
    ]
}

#[rstest]
fn arbitrary_paths_and_queries_cause_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let ada = app.user("ada");
    for title in ["a", "b", "c"] {
        ada.has_task(title);
    }
    let cursors = ["created", "title", "due_date"].map(|sort| {
        let page = ada.get(&format!("/api/tasks?limit=1&sort={sort}")).expect(200);
        let link = page.header("link").expect("the list should have a next page");
        let (_, cursor) = link.split_once("cursor=").unwrap();
        cursor.split(['>', '&']).next().unwrap().to_owned()
    });
    let token = ada.token.clone().unwrap();
    let methods = select(vec!["GET", "GET", "GET", "HEAD", "DELETE", "PATCH"]);
    let inputs = (methods, path(ada.id.clone()), query(cursors.to_vec()));
    let requests = inputs.prop_map(|(method, path, query)| {
        // The collection supports neither DELETE nor PATCH, and a 405 would be sent before the query is read.
        let method = if path == "/api/tasks" { "GET" } else { method };
        Request::new(method, for_a_request_line(&format!("{path}?{query}")), &token)
    });
    let mut session = Session::with(&app);
    run_cases(&app, requests, |request| drop(session.send(&request)));
}
