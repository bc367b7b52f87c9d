//! A key is valid for 24 hours. Later creates of the same user delete it, without a scheduled job.

use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use super::{assert_same, number_of_tasks, post};
use crate::support::{Actor, CONTRACTS, Database, Postgres, Sqlite, TestApp};

/// Subtracts this many hours from the creation time of every key of this user.
fn age(app: &TestApp, user: &Actor, hours: u32) {
    let earlier = match app.kind {
        Database::Postgres => format!("created_at - interval '{hours} hours'"),
        Database::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%f000Z', created_at, '-{hours} hours')"),
    };
    let owner = &user.id;
    app.execute(&format!(
        "UPDATE idempotency_keys SET created_at = {earlier} WHERE user_id = '{owner}'"
    ));
}

/// Copies the key `first` as `old 1`, `old 2` and so on, from the oldest to the newest, all older than a day.
fn add_old_keys(app: &TestApp, user: &Actor, number: i64) {
    let (numbers, time) = match app.kind {
        Database::Postgres => (
            format!("SELECT i FROM generate_series(1, {number}) AS s(i)"),
            "now() - interval '30 days' + i * interval '1 second'",
        ),
        Database::Sqlite => (
            format!(
                "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {number}) SELECT i FROM s"
            ),
            "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-30 days', '+' || i || ' seconds')",
        ),
    };
    app.execute(&format!(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, answer, created_at) \
         SELECT user_id, 'old ' || i, fingerprint, task_id, answer, {time} \
         FROM idempotency_keys, ({numbers}) AS numbers WHERE user_id = '{}' AND key = 'first'",
        user.id
    ));
}

fn kept(app: &TestApp, user: &Actor) -> Vec<String> {
    let sql = format!(
        "SELECT key FROM idempotency_keys WHERE user_id = '{}' ORDER BY key",
        user.id
    );
    app.values(&sql).into_iter().flatten().collect()
}

#[rstest]
fn an_expired_key_can_be_used_again(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        let first = post(&ada, &path, "key", &json!({ "title": "first" })).expect(201);
        age(&app, &ada, 25);
        let second = post(&ada, &path, "key", &json!({ "title": "second" })).expect(201);
        assert_ne!(second.json()["id"], first.json()["id"]);
        assert_same(&post(&ada, &path, "key", &json!({ "title": "second" })), &second);
        age(&app, &ada, 25);
        let third = post(&ada, &path, "key", &json!({ "title": "second" })).expect(201);
        assert_ne!(third.json()["id"], second.json()["id"]);
        assert_eq!(number_of_tasks(&ada), 3);
    }
}

#[rstest]
fn a_key_is_kept_for_a_whole_day(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let body = json!({ "title": "t" });
    let first = post(&ada, "/api/tasks", "key", &body).expect(201);
    age(&app, &ada, 23);
    post(&ada, "/api/tasks", "another", &json!({ "title": "u" })).expect(201);
    assert_same(&post(&ada, "/api/tasks", "key", &body), &first);
    post(&ada, "/api/tasks", "key", &json!({ "title": "u" })).assert_problem(422);
}

#[rstest]
fn old_keys_are_deleted_when_their_user_sends_a_new_one(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for number in 0..5 {
        post(
            &ada,
            "/api/tasks",
            &format!("old {number}"),
            &json!({ "title": "t" }),
        )
        .expect(201);
    }
    assert_eq!(kept(&app, &ada).len(), 5);
    age(&app, &ada, 25);
    post(&ada, "/api/tasks", "new", &json!({ "title": "t" })).expect(201);
    assert_eq!(kept(&app, &ada), ["new"]);
    // The tasks that were created with the deleted keys still exist.
    assert_eq!(number_of_tasks(&ada), 6);
}

#[rstest]
fn hundreds_of_thousands_of_old_keys_do_not_slow_down_a_create(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    // A create that read all of these keys would take longer than the limit below.
    const OLD: i64 = 300_000;
    let ada = app.user("ada");
    post(&ada, "/api/tasks", "first", &json!({ "title": "t" })).expect(201);
    if db == Postgres {
        // The statistics become outdated when keys are added, so PostgreSQL then expects few keys in any index.
        app.execute("ANALYZE idempotency_keys");
    }
    add_old_keys(&app, &ada, OLD);
    let count = || {
        let sql = format!(
            "SELECT count(*) FROM idempotency_keys WHERE user_id = '{}' AND key LIKE 'old %'",
            ada.id
        );
        app.value(&sql).unwrap().parse::<i64>().unwrap()
    };
    // Each create must delete some of the old keys, but fewer than 1,000.
    let mut before = count();
    assert_eq!(before, OLD);
    let mut took = Vec::new();
    for number in 0..5 {
        let started = Instant::now();
        let key = format!("new {number}");
        post(&ada, "/api/tasks", &key, &json!({ "title": "t" })).expect(201);
        took.push(started.elapsed());
        let after = count();
        assert!((1..1_000).contains(&(before - after)), "{before} to {after}");
        before = after;
    }
    // Other tests run on the same processors, so the fastest create shows the cost of the service itself.
    assert!(took.iter().min() < Some(&Duration::from_millis(250)), "{took:?}");
    // The newest of the old keys still exists. It can be used again because it has expired.
    let youngest = format!("old {OLD}");
    let again = post(&ada, "/api/tasks", &youngest, &json!({ "title": "new" })).expect(201);
    assert_eq!(again.json()["title"], "new");
    assert!(count() > OLD - 2_000);
    assert_same(
        &post(&ada, "/api/tasks", &youngest, &json!({ "title": "new" })),
        &again,
    );
    assert_eq!(number_of_tasks(&ada), 7);
    // Concurrent creates find the same old keys and must all succeed.
    thread::scope(|scope| {
        for writer in 0..8 {
            let ada = &ada;
            scope.spawn(move || {
                for number in 0..10 {
                    let key = format!("{writer} {number}");
                    post(ada, "/api/tasks", &key, &json!({ "title": "t" })).expect(201);
                }
            });
        }
    });
}

#[rstest]
fn keys_are_deleted_with_their_user(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    post(&ada, "/api/tasks", "key", &json!({ "title": "t" })).expect(201);
    app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
    assert!(kept(&app, &ada).is_empty());
    post(&ada, "/api/tasks", "key", &json!({ "title": "u" })).expect(201);
    assert_eq!(ada.titles("/api/tasks"), ["u"]);
}

#[test]
fn a_create_reads_few_of_a_hundred_thousand_old_keys() {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(Database::Postgres).start();
    let ada = app.user("ada");
    post(&ada, "/api/tasks", "first", &json!({ "title": "t" })).expect(201);
    add_old_keys(&app, &ada, 100_000);
    // The plan must not depend on the statistics of the table, so keys are created before and after `ANALYZE`.
    for round in 0..2 {
        app.execute("SELECT pg_stat_reset()");
        let ada = app.user("ada");
        for number in 0..10 {
            let key = format!("{round} {number}");
            post(&ada, "/api/tasks", &key, &json!({ "title": "t" })).expect(201);
        }
        // A connection adds the rows that it has read to the statistics at the latest when it is closed.
        app.restart();
        let read = app.value(
            "SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes \
             WHERE relname = 'idempotency_keys') FROM pg_stat_user_tables WHERE relname = 'idempotency_keys'",
        );
        let read: i64 = read.unwrap().parse().unwrap();
        assert!((10 * 200..50_000).contains(&read), "{read} rows for ten creates");
        app.execute("ANALYZE idempotency_keys");
    }
}
