//! A cursor is opaque: every value that was not issued for the same list is invalid.

use rstest::rstest;
use serde_json::json;

use super::{SORTS, cursor_of, next};
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

/// Creates nine tasks, so that every filter has more than one page of two.
fn prepare(user: &Actor) {
    for number in 0..9 {
        user.creates(json!({
            "title": format!("task {number}"),
            "due_date": (number % 2 == 0).then_some("2026-05-01"),
            "completed": number % 3 == 0,
        }));
    }
}

fn first_cursor(user: &Actor, contract: Contract, query: &str) -> String {
    let answer = user.get(&format!("{}?{query}&limit=2", contract.tasks(user)));
    cursor_of(&next(&answer.expect(200)).expect("the list should have a next page"))
}

/// Returns the first cursor of each sort order, for each contract, with the query that it belongs to.
fn first_cursors(user: &Actor) -> Vec<(Contract, String, String)> {
    let mut cursors = Vec::new();
    for contract in CONTRACTS {
        for sort in SORTS {
            let query = format!("sort={sort}&status=all");
            let cursor = first_cursor(user, contract, &query);
            cursors.push((contract, query, cursor));
        }
    }
    cursors
}

fn path(user: &Actor, contract: Contract, query: &str, cursor: &str) -> String {
    format!("{}?{query}&limit=2&cursor={cursor}", contract.tasks(user))
}

#[track_caller]
fn assert_refused(user: &Actor, contract: Contract, query: &str, cursor: &str) {
    let answer = user.get(&path(user, contract, query, cursor));
    answer.assert_bad_fields(contract, &["cursor"]);
}

#[rstest]
fn a_cursor_changed_at_any_position_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for (contract, query, cursor) in first_cursors(&ada) {
        for at in 0..cursor.len() {
            // The next ASCII character often differs in only one bit of the decoded value.
            let changed = match cursor.as_bytes()[at] {
                b'z' | b'Z' | b'9' | b'-' | b'_' | b'%' => b'A',
                byte => byte + 1,
            };
            let mut bytes = cursor.clone().into_bytes();
            bytes[at] = changed;
            let changed = String::from_utf8(bytes).unwrap();
            assert_refused(&ada, contract, &query, &changed);
        }
    }
}

#[rstest]
fn a_truncated_or_extended_cursor_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for (contract, query, cursor) in first_cursors(&ada) {
        for length in [0, 1, 2, 3, 4, cursor.len() / 2, cursor.len() - 1] {
            assert_refused(&ada, contract, &query, &cursor[..length]);
        }
        for more in ["A", "AAAA", "%3D", "%00", "%20", "."] {
            assert_refused(&ada, contract, &query, &format!("{cursor}{more}"));
        }
        assert_refused(&ada, contract, &query, &cursor.repeat(2));
    }
}

#[rstest]
fn an_invented_cursor_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    let long = "A".repeat(4_000);
    for contract in CONTRACTS {
        for cursor in [
            "x",
            "1",
            "-1",
            "null",
            "2026-01-01T00:00:00Z",
            "%FF%FE",
            "%F0%9F%98%80",
            "'%20OR%20'1'='1",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "eyJpZCI6MX0",
            &long,
        ] {
            for sort in SORTS {
                let query = format!("sort={sort}");
                assert_refused(&ada, contract, &query, cursor);
            }
        }
    }
}

#[rstest]
fn a_cursor_of_another_sort_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for contract in CONTRACTS {
        for sort in SORTS {
            let cursor = first_cursor(&ada, contract, &format!("sort={sort}"));
            for other in SORTS.into_iter().filter(|other| *other != sort) {
                assert_refused(&ada, contract, &format!("sort={other}"), &cursor);
            }
            // `sort=created` is the default, so its cursor is also valid without a `sort` parameter.
            if sort == "created" {
                ada.get(&path(&ada, contract, "status=all", &cursor)).expect(200);
            } else {
                assert_refused(&ada, contract, "status=all", &cursor);
            }
        }
    }
}

#[rstest]
fn a_cursor_of_another_filter_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    prepare(&ada);
    for contract in CONTRACTS {
        for sort in SORTS {
            let query = |status| format!("sort={sort}&status={status}");
            for status in super::STATUSES {
                let cursor = first_cursor(&ada, contract, &query(status));
                for other in super::STATUSES.into_iter().filter(|other| *other != status) {
                    assert_refused(&ada, contract, &query(other), &cursor);
                }
            }
        }
    }
}

#[rstest]
fn a_cursor_of_another_user_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let bob = app.user("bob");
    prepare(&ada);
    prepare(&bob);
    for contract in CONTRACTS {
        for sort in SORTS {
            let query = format!("sort={sort}");
            let cursor = first_cursor(&ada, contract, &query);
            assert_refused(&bob, contract, &query, &cursor);
            ada.get(&path(&ada, contract, &query, &cursor)).expect(200);
        }
    }
}

#[rstest]
fn a_wrong_cursor_is_reported_together_with_other_errors(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let answer = ada.get(&format!("{}?cursor=x&limit=5&sort=y", contract.tasks(&ada)));
        answer.assert_bad_fields(contract, &["cursor", "sort"]);
    }
}

#[rstest]
fn a_cursor_of_the_other_database_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let other = match db {
        Database::Sqlite => Database::Postgres,
        Database::Postgres => Database::Sqlite,
    };
    let (here, there) = (TestApp::builder(db).start(), TestApp::builder(other).start());
    let user = here.user("ada");
    let twin = user.at(there.target());
    prepare(&user);
    prepare(&twin);
    for contract in CONTRACTS {
        for sort in SORTS {
            let query = format!("sort={sort}");
            let first = twin
                .get(&format!("{}?{query}&limit=2", contract.tasks(&twin)))
                .expect(200);
            let mut link = next(&first);
            // The cursors of all pages are tested. After a task without a due date, the sort key in the
            // cursor is empty, and thus the same for both databases.
            while let Some(page) = link {
                assert_refused(&user, contract, &query, &cursor_of(&page));
                link = next(&twin.get(&page).expect(200));
            }
        }
    }
}
