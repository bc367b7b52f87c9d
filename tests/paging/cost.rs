//! The cost of a page does not depend on the number of tasks before it.
//!
//! A cursor is a position and not a row number: a cursor that was issued for the beginning of a list points
//! deep into the list once many tasks have been inserted before it. The tests therefore need not read a
//! hundred thousand tasks page by page.

use std::sync::Arc;

use rstest::rstest;
use serde_json::json;

use super::plans::{LastList, plan_in_postgres, plan_in_sqlite};
use super::{next, queries};
use crate::support::app::Builder;
use crate::support::{Actor, Database, OwnDatabase, Postgres, Sqlite, TestApp, statements};

const LIMIT: usize = 50;
const BEFORE: usize = 99_950;

/// Returns each query with a link to a page that has 100,000 tasks before it, or about half as many if the
/// query has a filter.
fn deep_links(app: &TestApp, user: &Actor) -> Vec<(String, String)> {
    // Each status has at least two full pages: the page that contains the link, and the page to which it
    // leads.
    for number in 0..4 * LIMIT + 4 {
        user.creates(json!({
            "title": format!("zz {number}"),
            "due_date": "2999-01-01",
            "completed": number % 2 == 0,
        }));
    }
    let links = queries().map(|query| {
        let first = user.get(&format!("/api/tasks?{query}&limit={LIMIT}")).expect(200);
        (query, next(&first).expect("the list should have a next page"))
    });
    let links = links.collect();
    insert_before_all(app, user);
    links
}

/// Inserts tasks that are newer, due sooner, and have smaller sort keys than all existing ones. The service
/// stores a sort key for each title together with the title from which it was computed (`keyed_title`). The
/// inserted keys follow no collation, but `keyed_title` equals the title, so the service does not recompute
/// them before the first list by title.
fn insert_before_all(app: &TestApp, user: &Actor) {
    let columns = "user_id, title, keyed_title, title_key, completed, due_date, created_at, updated_at";
    let owner = &user.id;
    app.execute(&match app.kind {
        // The physical order of the rows is pseudo-random, as in a table that has grown over years.
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
    let tasks = list.as_array().expect("the body should be an array");
    assert_eq!(tasks.len(), LIMIT, "{path}");
    for task in tasks {
        let title = task["title"].as_str().unwrap();
        assert_eq!(title.starts_with("zz"), is_deep, "{path}: {title}");
    }
}

#[rstest]
fn a_page_deep_in_a_long_list_is_the_right_one(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    for (query, link) in deep_links(&app, &ada) {
        let first = format!("/api/tasks?{query}&limit={LIMIT}");
        assert_page(&ada, &first, false);
        assert_page(&ada, &link, true);
    }
}

#[test]
fn a_page_at_any_depth_reads_a_bounded_part_of_an_index_that_begins_with_the_user() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    statements::record(&database);
    let app = Builder::on(database).start();
    // Both databases get the same queries, and only PostgreSQL logs them. The SQLite service is started to
    // create the schema for the query plans.
    let sqlite = TestApp::builder(Database::Sqlite).start();
    let ada = app.user("ada");
    for (query, link) in deep_links(&app, &ada) {
        let first = format!("/api/tasks?{query}&limit={LIMIT}");
        let blocks = [(first, false), (link, true)].map(|(path, is_deep)| {
            assert_page(&ada, &path, is_deep);
            let list = LastList::of(&app);

            let plan = plan_in_postgres(&app, &list);
            for kind in plan.all("Node Type") {
                // The plan must contain neither a sort nor a sequential scan nor a bitmap scan.
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
                // The rows of a subquery may be scanned sequentially, but not those of a table.
                let reads_all = step.starts_with("SCAN ") && !step.starts_with("SCAN (");
                assert!(!reads_all, "{steps:?}: {list:?}");
            }
            // `(user_id=? AND created_at<?)` means that SQLite starts to read where the page begins.
            let search = steps.iter().find(|step| step.contains("SEARCH tasks"));
            let search = search.expect("the plan should search the tasks");
            assert!(
                search.contains(" INDEX ") && search.contains("(user_id=?"),
                "{search}"
            );
            let begins_there = search.contains('<') || search.contains(">?");
            assert!(begins_there || !is_deep, "{query}: {search}");
            plan.blocks()
        });
        println!("{query}: {blocks:?} blocks at the beginning and at depth");
        // In the worst case each row is in a block of its own. Descending the indexes needs some more blocks.
        assert!(
            blocks.iter().all(|blocks| *blocks <= LIMIT as u64 + 30),
            "{query}: {blocks:?}"
        );
    }
}
