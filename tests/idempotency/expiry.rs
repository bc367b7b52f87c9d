//! A key is kept for 24 hours, and goes away without anybody who schedules that.

use serde_json::json;

use super::{assert_same, number_of_tasks, post};
use crate::support::{Actor, CONTRACTS, Database, TestApp};

/// As if every key of this user had come so many hours earlier.
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

fn kept(app: &TestApp, user: &Actor) -> Vec<String> {
    let sql = format!(
        "SELECT key FROM idempotency_keys WHERE user_id = '{}' ORDER BY key",
        user.id
    );
    app.values(&sql).into_iter().flatten().collect()
}

on_both_databases!(
    fn a_key_of_yesterday_is_new_again(app: AppWithDatabase) {
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

    fn a_key_is_kept_for_a_whole_day(app: AppWithDatabase) {
        let ada = app.user("ada");
        let body = json!({ "title": "t" });
        let first = post(&ada, "/api/tasks", "key", &body).expect(201);
        age(&app, &ada, 23);
        post(&ada, "/api/tasks", "another", &json!({ "title": "u" })).expect(201);
        assert_same(&post(&ada, "/api/tasks", "key", &body), &first);
        post(&ada, "/api/tasks", "key", &json!({ "title": "u" })).assert_problem(422);
    }

    fn old_keys_go_when_their_user_brings_a_new_one(app: AppWithDatabase) {
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
        // The tasks that were made under them stay.
        assert_eq!(number_of_tasks(&ada), 6);
    }

    fn keys_go_with_their_user(app: AppWithDatabase) {
        let ada = app.user("ada");
        post(&ada, "/api/tasks", "key", &json!({ "title": "t" })).expect(201);
        app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
        assert!(kept(&app, &ada).is_empty());
        post(&ada, "/api/tasks", "key", &json!({ "title": "u" })).expect(201);
        assert_eq!(ada.titles("/api/tasks"), ["u"]);
    }
);
