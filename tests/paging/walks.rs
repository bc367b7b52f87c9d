//! The pages that can be reached through the links are together the whole list.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::{SORTS, STATUSES, TITLES, ids, next, queries, walk};
use crate::support::app::Builder;
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, OwnDatabase, Postgres, Sqlite, TestApp};

/// Creates tasks with titles in many scripts. Some due dates are at the ends of the calendar, some are equal,
/// and some are absent. About a third of the tasks are completed.
fn prepare(user: &Actor) {
    let due_dates = [
        json!("2026-05-01"),
        Value::Null,
        json!("9999-12-31T23:59:59.999999Z"),
        json!("0001-01-01"),
        json!("2026-05-01T00:00:00.000001Z"),
        Value::Null,
        json!("1969-12-31T23:59:59Z"),
    ];
    for (number, title) in TITLES.iter().enumerate() {
        user.creates(json!({
            "title": title,
            "due_date": due_dates[number % due_dates.len()],
            "completed": number % 3 == 0,
        }));
    }
}

#[track_caller]
fn assert_pages_are_the_list(user: &Actor, contract: Contract, query: &str, limit: usize) {
    let path = format!("{}?{query}", contract.tasks(user));
    let whole = user.get(&path).expect(200);
    assert_eq!(
        whole.header("link"),
        None,
        "without a limit there should be no link"
    );
    let pages = walk(user, &format!("{path}&limit={limit}"));
    let (last, full) = pages.split_last().expect("there should be at least one page");
    for page in full {
        assert_eq!(page.len(), limit, "only the last page may be short: {path}");
    }
    assert!(last.len() <= limit, "{path}");
    assert!(
        !last.is_empty() || full.is_empty(),
        "a link should not lead to an empty page: {path}"
    );
    assert_eq!(Value::Array(pages.concat()), whole.json(), "{path}&limit={limit}");
}

#[rstest]
fn all_pages_together_are_the_whole_list_in_its_order(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    // In every index, tasks of another user are adjacent to those of this user.
    prepare(&app.user("bob"));
    for contract in CONTRACTS {
        for query in queries() {
            for limit in [1, 3, 7, 1000] {
                assert_pages_are_the_list(&ada, contract, &query, limit);
            }
        }
    }
}

#[rstest]
fn pages_are_complete_with_dates_in_the_format_of_another_program(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    // The service would write none of these values in this form.
    let foreign = match app.kind {
        Database::Postgres => ["infinity", "-infinity", "12026-01-01", "2026-05-01 02:00+02"],
        Database::Sqlite => [
            "2026-05-01T00:00:00.000Z",
            "2026-05-01 00:00:00",
            "2026-05-01T00:00",
            "2026-05-01",
        ],
    };
    for date in foreign {
        let task = id(&ada.has_task(date));
        app.execute(&format!(
            "UPDATE tasks SET due_date = '{date}', created_at = '{date}' WHERE id = {task}"
        ));
        ada.creates(json!({ "title": "t", "due_date": "2026-05-01" }));
        ada.has_task("t");
    }
    for query in queries() {
        assert_pages_are_the_list(&ada, Contract::A, &query, 1);
    }
    if app.kind == Database::Postgres {
        // The service shows only the years 0000 to 9999. It replaces any other time with the nearest one of these.
        for (title, shown) in [
            ("infinity", "9999-12-31T23:59:59.999999Z"),
            ("-infinity", "0000-01-01T00:00:00.000000Z"),
        ] {
            let list = ada.get("/api/tasks").expect(200).json();
            let task = list
                .as_array()
                .unwrap()
                .iter()
                .find(|task| task["title"] == title);
            assert_eq!(task.unwrap()["due_date"], shown);
        }
    }
}

#[rstest]
fn tasks_without_a_due_date_are_on_the_last_pages(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for status in STATUSES {
        let pages = walk(&ada, &format!("/api/tasks?sort=due_date&status={status}&limit=2"));
        let due_dates: Vec<Value> = pages
            .concat()
            .iter()
            .map(|task| task["due_date"].clone())
            .collect();
        let nulls = due_dates.iter().filter(|due_date| due_date.is_null()).count();
        assert!(nulls > 0);
        let (with, without) = due_dates.split_at(due_dates.len() - nulls);
        assert!(without.iter().all(Value::is_null), "{due_dates:?}");
        // The format has a fixed width, so the text order equals the time order.
        let with: Vec<&str> = with.iter().map(|due_date| due_date.as_str().unwrap()).collect();
        assert!(with.is_sorted(), "{with:?}");
    }
}

#[rstest]
fn tasks_with_equal_keys_are_never_lost_between_pages(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let (dated, undated) = (app.user("dated"), app.user("undated"));
    for number in 0..17 {
        let completed = number % 2 == 0;
        dated.creates(json!({ "title": "same", "due_date": "2026-05-01", "completed": completed }));
        undated.creates(json!({ "title": "same", "completed": completed }));
    }
    app.execute(&format!(
        "UPDATE tasks SET created_at = '2026-01-02T03:04:05.678901Z' WHERE user_id LIKE '{}'",
        app.unique("%")
    ));
    for user in [&dated, &undated] {
        for query in queries() {
            for limit in [1, 2, 5] {
                assert_pages_are_the_list(user, Contract::A, &query, limit);
            }
        }
    }
}

#[rstest]
fn the_last_page_has_no_next_link(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for number in 0..12 {
        ada.has_task(&format!("{number}"));
    }
    for contract in CONTRACTS {
        for sort in SORTS {
            let path = format!("{}?sort={sort}", contract.tasks(&ada));
            for (limit, sizes) in [
                (4, &[4, 4, 4][..]),
                (6, &[6, 6]),
                (11, &[11, 1]),
                (12, &[12]),
                (13, &[12]),
            ] {
                let pages = walk(&ada, &format!("{path}&limit={limit}"));
                let found: Vec<usize> = pages.iter().map(Vec::len).collect();
                assert_eq!(found, sizes, "{path}&limit={limit}");
            }
            let none = ada.get(&format!("{path}&status=completed&limit=5")).expect(200);
            assert_eq!(none.json(), json!([]));
            assert_eq!(none.header("link"), None);
        }
    }
}

#[rstest]
fn head_has_the_link_and_the_tag_of_the_page(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in ["a", "b", "c"] {
        ada.has_task(title);
    }
    for contract in CONTRACTS {
        for sort in SORTS {
            let path = format!("{}?sort={sort}&limit=2", contract.tasks(&ada));
            let get = ada.get(&path).expect(200);
            let head = ada.request("HEAD", &path, &[], b"").expect(200);
            assert_eq!(head.body, b"");
            assert!(next(&head).is_some(), "{head}");
            assert_eq!(head.header("link"), get.header("link"));
            assert_eq!(head.header("etag"), get.header("etag"));
            let last = ada.request("HEAD", &next(&head).unwrap(), &[], b"").expect(200);
            assert_eq!(last.header("link"), None, "{last}");
        }
    }
}

#[rstest]
fn the_next_page_begins_where_a_deleted_or_changed_task_was(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        for sort in SORTS {
            let user = app.user(&format!("{contract:?} {sort}"));
            for number in 0..6 {
                let due_date = format!("2026-05-0{}", number + 1);
                user.creates(json!({ "title": format!("{number}"), "due_date": due_date }));
            }
            let path = format!("{}?sort={sort}&limit=2", contract.tasks(&user));
            let pages = walk(&user, &path);
            let first = user.get(&path).expect(200);
            let link = next(&first).unwrap();

            // The cursor refers to the last task of the page.
            let last = id(&pages[0][1]);
            let moved = json!({ "title": "moved", "due_date": "2001-01-01" });
            user.put(&contract.task(&user, last), moved).expect(200);
            let second = user.get(&link).expect(200).json();
            assert_eq!(ids(second.as_array().unwrap())[0], id(&pages[1][0]));

            user.delete(&contract.task(&user, last)).expect(204);
            user.delete(&contract.task(&user, id(&pages[0][0]))).expect(204);
            assert_eq!(walk(&user, &link).concat(), pages[1..].concat());
        }
    }
}

#[rstest]
fn a_link_works_at_another_replica_and_after_a_restart(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let mut one = Builder::on(Arc::clone(&database)).start();
    let two = Builder::on(database).start();
    let ada = one.user("ada");
    prepare(&ada);
    for query in queries() {
        let path = format!("/api/tasks?{query}&limit=3");
        let link = next(&ada.get(&path).expect(200)).expect("the list should have a next page");
        let here = ada.get(&link).expect(200);
        let there = ada.at(two.target()).get(&link).expect(200);
        assert_eq!(there.body, here.body);
    }
    let link = next(&ada.get("/api/tasks?limit=3").expect(200)).expect("the list should have a next page");
    let before = ada.get(&link).expect(200);
    one.restart();
    assert_eq!(ada.at(one.target()).get(&link).expect(200).body, before.body);
}
