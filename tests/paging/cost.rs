//! The cost of a page does not grow with what stands before it.
//!
//! A cursor is a place and not a number of rows: one that was given out while little stood before it is
//! deep in the list once much does. So nobody has to walk a hundred thousand tasks to get there.

use std::sync::Arc;

use serde_json::json;

use super::plans::{LastList, plan_in_postgres, plan_in_sqlite};
use super::{next, queries};
use crate::support::app::Builder;
use crate::support::{Actor, Database, OwnDatabase, TestApp, statements};

const LIMIT: usize = 50;
const BEFORE: usize = 99_950;

/// Links to a page that has `BEFORE` tasks before it, or half of these where the list is filtered.
fn deep_links(app: &TestApp, user: &Actor) -> Vec<(String, String)> {
    // One page of each status to get a cursor from, and more than another page of each behind it.
    for number in 0..4 * LIMIT + 4 {
        user.creates(json!({
            "title": format!("zz {number}"),
            "due_date": "2999-01-01",
            "completed": number % 2 == 0,
        }));
    }
    let links = queries().map(|query| {
        let first = user.get(&format!("/api/tasks?{query}&limit={LIMIT}")).expect(200);
        (query, next(&first).expect("a next page"))
    });
    let links = links.collect();
    insert_before_all(app, user);
    links
}

/// Newer, due sooner, and with a smaller sort key than everything that is there. The service keeps a sort
/// key for each title and the title that it was made of; these keys are no language's, but they have an
/// order, and nothing needs mending before the first list by title.
fn insert_before_all(app: &TestApp, user: &Actor) {
    let columns = "user_id, title, keyed_title, title_key, completed, due_date, created_at, updated_at";
    let owner = &user.id;
    app.execute(&match app.kind {
        // In an order of its own, as rows lie that came over the years.
        Database::Postgres => format!(
            "INSERT INTO tasks ({columns}) \
             SELECT '{owner}', 'task ' || n, 'task ' || n, decode('01' || lpad(to_hex(n), 8, '0'), 'hex'), n % 2 = 0, \
                    CASE WHEN n % 7 > 0 THEN timestamptz '2026-01-01' + n * interval '1 minute' \
                         ELSE timestamptz '2026-01-01' END, \
                    timestamptz '2126-01-01' + n * interval '1 second', timestamptz '2126-01-01' \
             FROM generate_series(1, {BEFORE}) n ORDER BY md5(n::text); ANALYZE tasks"
        ),
        Database::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {BEFORE}) \
             INSERT INTO tasks ({columns}) \
             SELECT '{owner}', 'task ' || n, 'task ' || n, CAST(printf('\x01%08x', n) AS BLOB), n % 2 = 0, \
                    CASE WHEN n % 7 > 0 THEN strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-01', n || ' minutes') \
                         ELSE '2026-01-01T00:00:00.000000Z' END, \
                    strftime('%Y-%m-%dT%H:%M:%f000Z', '2126-01-01', n || ' seconds'), \
                    '2126-01-01T00:00:00.000000Z' \
             FROM numbers"
        ),
    });
}

#[track_caller]
fn assert_page(user: &Actor, path: &str, is_deep: bool) {
    let list = user.get(path).expect(200).json();
    let tasks = list.as_array().expect("a list");
    assert_eq!(tasks.len(), LIMIT, "{path}");
    for task in tasks {
        let title = task["title"].as_str().unwrap();
        assert_eq!(title.starts_with("zz"), is_deep, "{path}: {title}");
    }
}

on_both_databases!(
    fn a_page_deep_in_a_long_list_is_the_right_one(db: Database) {
        let app = TestApp::builder(db).start();
        let ada = app.user("ada");
        for (query, link) in deep_links(&app, &ada) {
            let first = format!("/api/tasks?{query}&limit={LIMIT}");
            assert_page(&ada, &first, false);
            assert_page(&ada, &link, true);
        }
    }
);

with_a_process_of_its_own!(
    fn a_page_at_any_depth_reads_a_bounded_part_of_an_index_that_begins_with_the_user() {
        let database = Arc::new(OwnDatabase::create(Database::Postgres));
        statements::record(&database);
        let app = Builder::on(database).start();
        // Only its schema is needed. The same queries stand for both databases, and PostgreSQL is the one
        // that tells what it was asked.
        let sqlite = TestApp::builder(Database::Sqlite).start();
        let ada = app.user("ada");
        for (query, link) in deep_links(&app, &ada) {
            let first = format!("/api/tasks?{query}&limit={LIMIT}");
            let blocks = [(first, false), (link, true)].map(|(path, is_deep)| {
                assert_page(&ada, &path, is_deep);
                let list = LastList::of(&app);

                let plan = plan_in_postgres(&app, &list);
                for kind in plan.all("Node Type") {
                    // No sort, and nothing that reads more than it passes on.
                    let direct = [
                        "Append",
                        "Limit",
                        "Result",
                        "Subquery Scan",
                        "Index Scan",
                        "Index Only Scan",
                    ];
                    assert!(direct.contains(&&*kind), "{kind}: {list:?} {plan:?}");
                }
                for index in plan.all("Index Name") {
                    let sql = format!("SELECT indexdef FROM pg_indexes WHERE indexname = '{index}'");
                    let definition = app.value(&sql).unwrap();
                    let users = index == "users_pkey";
                    assert!(users || definition.contains(" (user_id"), "{definition}");
                }

                let steps = plan_in_sqlite(&sqlite, &list);
                for step in &steps {
                    assert!(!step.contains("TEMP B-TREE"), "{steps:?}: {list:?}");
                    // A subquery's own rows may be read one after the other, a table's may not.
                    let reads_all = step.starts_with("SCAN ") && !step.starts_with("SCAN (");
                    assert!(!reads_all, "{steps:?}: {list:?}");
                }
                // `(user_id=? AND created_at<?)`: begins to read where the page begins.
                let search = steps.iter().find(|step| step.contains("SEARCH tasks"));
                let search = search.expect("a search among the tasks");
                assert!(
                    search.contains(" INDEX ") && search.contains("(user_id=?"),
                    "{search}"
                );
                let begins_there = search.contains('<') || search.contains(">?");
                assert!(begins_there || !is_deep, "{query}: {search}");
                plan.blocks()
            });
            println!("{query}: {blocks:?} blocks at the beginning and at depth");
            // Every row may lie in a block of its own, and the way down an index has a few more.
            assert!(
                blocks.iter().all(|blocks| *blocks <= LIMIT as u64 + 30),
                "{query}: {blocks:?}"
            );
        }
    }
);
