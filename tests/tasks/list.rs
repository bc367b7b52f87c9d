//! `GET` of a collection with filters and sorts. `tests/collation.rs` covers the order by title.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::task::{assert_is_task, id};
use crate::support::{Actor, CONTRACTS, Database, Postgres, Sqlite, TestApp};

fn ids(user: &Actor, path: &str) -> Vec<i64> {
    let list = user.get(path).expect(200).json();
    list.as_array()
        .expect("the body should be an array")
        .iter()
        .map(id)
        .collect()
}

/// Creates six tasks, each given as title, due date and `completed`.
fn prepare(user: &Actor) {
    for (title, due_date, completed) in [
        ("delta", json!("2026-05-02"), false),
        ("alpha", Value::Null, true),
        ("echo", json!("2026-05-01T00:00:00Z"), true),
        ("charlie", json!("2026-05-01T01:00:00+02:00"), false),
        ("bravo", Value::Null, false),
        ("foxtrot", json!("1999-12-31"), true),
    ] {
        user.creates(json!({ "title": title, "due_date": due_date, "completed": completed }));
    }
}

#[rstest]
fn a_new_user_has_an_empty_list(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        assert_eq!(ada.get(&contract.tasks(&ada)).expect(200).json(), json!([]));
    }
}

#[rstest]
fn a_list_contains_complete_tasks(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for contract in CONTRACTS {
        let list = ada.get(&contract.tasks(&ada)).expect(200).json();
        for task in list.as_array().unwrap() {
            assert_is_task(task);
            let read = ada.get(&contract.task(&ada, id(task))).expect(200).json();
            assert_eq!(*task, read);
        }
    }
}

#[rstest]
fn the_newest_task_comes_first_unless_asked_otherwise(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    let newest_first = ["foxtrot", "bravo", "charlie", "echo", "alpha", "delta"];
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for query in [
            "",
            "?",
            "?sort=created",
            "?status=all",
            "?status=all&sort=created",
        ] {
            assert_eq!(ada.titles(&format!("{path}{query}")), newest_first, "{query}");
        }
    }
}

#[rstest]
fn tasks_are_sorted_by_title_and_by_due_date(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        assert_eq!(
            ada.titles(&format!("{path}?sort=title")),
            ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"],
        );
        let by_due_date = ada.titles(&format!("{path}?sort=due_date"));
        assert_eq!(by_due_date[..4], ["foxtrot", "charlie", "echo", "delta"]);
        let mut last = by_due_date[4..].to_vec();
        last.sort();
        assert_eq!(
            last,
            ["alpha", "bravo"],
            "tasks without a due date should be last"
        );
    }
}

#[rstest]
fn a_status_filters_in_every_order(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for (query, expected) in [
            ("?status=pending", ["bravo", "charlie", "delta"]),
            ("?status=completed", ["foxtrot", "echo", "alpha"]),
            ("?status=pending&sort=title", ["bravo", "charlie", "delta"]),
            ("?sort=title&status=completed", ["alpha", "echo", "foxtrot"]),
            ("?status=pending&sort=due_date", ["charlie", "delta", "bravo"]),
            ("?status=completed&sort=due_date", ["foxtrot", "echo", "alpha"]),
            ("?status=%70ending", ["bravo", "charlie", "delta"]),
        ] {
            assert_eq!(ada.titles(&format!("{path}{query}")), expected, "{query}");
        }
    }
}

#[rstest]
fn a_task_appears_in_the_list_of_its_status(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        let lists = || ["pending", "completed"].map(|status| ids(&ada, &format!("{path}?status={status}")));
        assert_eq!(lists(), [vec![task], vec![]]);
        ada.patch(&contract.complete(&ada, task)).expect(200);
        assert_eq!(lists(), [vec![], vec![task]]);
        ada.patch(&contract.complete(&ada, task)).expect(200);
    }
}

#[rstest]
fn equal_keys_are_ordered_by_id(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for _ in 0..12 {
        ada.creates(json!({ "title": "same", "due_date": "2026-05-01" }));
    }
    for contract in CONTRACTS {
        for sort in ["created", "title", "due_date"] {
            let path = format!("{}?sort={sort}", contract.tasks(&ada));
            let listed = ids(&ada, &path);
            assert_eq!(listed.len(), 12);
            assert!(
                listed.is_sorted() || listed.is_sorted_by(|a, b| a > b),
                "{listed:?}"
            );
            assert_eq!(ids(&ada, &path), listed, "the order should be stable");
        }
    }
}

#[rstest]
fn an_unknown_filter_or_sort_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("Buy milk");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for (query, fields) in [
            ("?status=done", &["status"][..]),
            ("?status=", &["status"]),
            ("?status=PENDING", &["status"]),
            ("?status=pending%00", &["status"]),
            ("?sort=priority", &["sort"]),
            ("?sort=", &["sort"]),
            ("?sort=created_at", &["sort"]),
            ("?sort=-title", &["sort"]),
            ("?sort=title;DROP%20TABLE%20tasks", &["sort"]),
            ("?status=done&sort=priority", &["sort", "status"]),
            ("?status=pending&sort=x", &["sort"]),
        ] {
            let answer = ada.get(&format!("{path}{query}"));
            answer.assert_bad_fields(contract, fields);
        }
    }
}

#[rstest]
fn a_malformed_query_causes_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for query in [
            "?&&&",
            "?=",
            "?%",
            "?%ff=%ff",
            "?status",
            "?a=b=c",
            "?status=%ff",
            "?+",
        ] {
            let answer = ada.get(&format!("{path}{query}"));
            if answer.status != 200 {
                answer.assert_bad_input(contract);
            }
        }
    }
}

#[rstest]
fn the_whole_list_comes_back_however_long_it_is(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for number in 0..130 {
        ada.has_task(&format!("task {number:03}"));
    }
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        assert_eq!(ids(&ada, &path).len(), 130);
        let expected: Vec<String> = (0..130).map(|number| format!("task {number:03}")).collect();
        assert_eq!(ada.titles(&format!("{path}?sort=title")), expected);
    }
}
