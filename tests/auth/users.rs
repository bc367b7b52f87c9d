//! The row in `users`: when it appears, what it follows, and what happens without it.

use serde_json::{Value, json};

use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, TestApp};

fn column(app: &TestApp, column: &str, user: &Actor) -> Option<String> {
    app.value(&format!("SELECT {column} FROM users WHERE id = '{}'", user.id))
}

/// The number of rows of this test's users.
fn rows(app: &TestApp) -> usize {
    let ours = app.unique("%");
    app.values(&format!("SELECT id FROM users WHERE id LIKE '{ours}'"))
        .len()
}

/// An address that nobody has in another test.
fn address(app: &TestApp, name: &str) -> String {
    format!("{}@example.com", app.unique(name))
}

/// The same user with another `email` and `name`; `null` leaves the claim out.
fn now_called(user: &Actor, email: Value, name: Value) -> Actor {
    called(user, user.claims(), email, name)
}

/// By a token that was issued after all others so far.
fn later_called(user: &Actor, email: Value, name: Value) -> Actor {
    let mut claims = user.claims();
    claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 1);
    called(user, claims, email, name)
}

fn called(user: &Actor, mut claims: Value, email: Value, name: Value) -> Actor {
    for (claim, value) in [("email", email), ("name", name)] {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(claim),
            value => claims.as_object_mut().unwrap().insert(claim.to_owned(), value),
        };
    }
    user.signed(&claims)
}

on_both_databases!(
    fn the_row_comes_with_the_first_call_whichever_it_is(app: AppWithDatabase) {
        for contract in CONTRACTS {
            for (number, method) in ["GET", "POST", "PUT", "DELETE", "PATCH"].iter().enumerate() {
                let user = app.user(&format!("{contract:?}{number}"));
                match *method {
                    "GET" => user.get(&contract.tasks(&user)).expect(200),
                    "POST" => user
                        .post(&contract.tasks(&user), json!({ "title": "t" }))
                        .expect(201),
                    "PUT" => user.put(&contract.task(&user, 1), json!({})).expect(404),
                    "DELETE" => user.delete(&contract.task(&user, 1)).expect(404),
                    _ => user.patch(&contract.complete(&user, 1)).expect(404),
                };
                assert_eq!(column(&app, "email", &user), Some(user.email.clone()));
                assert_eq!(column(&app, "name", &user), Some(user.name.clone()));
                assert!(column(&app, "created_at", &user).is_some());
            }
        }
        assert_eq!(rows(&app), 10);
    }

    fn a_refused_call_leaves_no_row(app: AppWithDatabase) {
        let ada = app.user("ada");
        let mut claims = ada.claims();
        claims["exp"] = json!(1);
        ada.signed(&claims).get("/api/tasks").assert_unauthorized();
        assert_eq!(rows(&app), 0);
    }

    fn the_row_follows_the_tokens_email_and_name(app: AppWithDatabase) {
        let ada = app.user("ada");
        ada.get("/api/tasks").expect(200);
        let created = column(&app, "created_at", &ada);
        for (email, name) in [("new", "New"), ("newer", "Newer 😀")] {
            let email = address(&app, email);
            now_called(&ada, json!(email), json!(name))
                .get("/api/tasks")
                .expect(200);
            assert_eq!(column(&app, "email", &ada), Some(email));
            assert_eq!(column(&app, "name", &ada).as_deref(), Some(name));
        }
        assert_eq!(column(&app, "created_at", &ada), created);
        assert_eq!(rows(&app), 1);
    }

    fn email_and_name_come_from_the_user_object_too(app: AppWithDatabase) {
        let ada = app.user("ada");
        let mut claims = ada.claims();
        for claim in ["sub", "email", "name"] {
            claims.as_object_mut().unwrap().remove(claim);
        }
        claims["user"] = json!({ "id": ada.id, "email": address(&app, "inner"), "name": "Inner" });
        ada.signed(&claims).get("/api/tasks").expect(200);
        assert_eq!(column(&app, "email", &ada), Some(address(&app, "inner")));
        assert_eq!(column(&app, "name", &ada).as_deref(), Some("Inner"));

        claims["email"] = json!(address(&app, "outer"));
        claims["name"] = json!("Outer");
        ada.signed(&claims).get("/api/tasks").expect(200);
        assert_eq!(column(&app, "email", &ada), Some(address(&app, "outer")));
        assert_eq!(column(&app, "name", &ada).as_deref(), Some("Outer"));
    }

    fn a_token_without_them_leaves_email_and_name_alone(app: AppWithDatabase) {
        let ada = app.user("ada");
        ada.get("/api/tasks").expect(200);
        now_called(&ada, Value::Null, Value::Null)
            .get("/api/tasks")
            .expect(200);
        assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
        assert_eq!(column(&app, "name", &ada), Some(ada.name.clone()));
        now_called(&ada, Value::Null, json!("Only a name"))
            .get("/api/tasks")
            .expect(200);
        assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
        assert_eq!(column(&app, "name", &ada).as_deref(), Some("Only a name"));

        let bob = now_called(&app.user("bob"), Value::Null, Value::Null);
        bob.get("/api/tasks").expect(200);
        assert_eq!(column(&app, "email", &bob), None);
        assert_eq!(column(&app, "name", &bob), None);
    }

    fn an_email_or_name_of_any_kind_is_no_failure(app: AppWithDatabase) {
        for (number, odd) in [
            json!(""),
            json!(" "),
            json!("a\0b@example.com"),
            json!("e".repeat(5_000)),
            json!("😀"),
            json!(5),
            json!(true),
            json!([]),
            json!({}),
        ]
        .into_iter()
        .enumerate()
        {
            let user = app.user(&format!("odd{number}"));
            // Optional, and no part of who it is.
            now_called(&user, odd.clone(), odd.clone())
                .get("/api/tasks")
                .expect(200);
            let other = app.user(&format!("other{number}"));
            now_called(&other, odd.clone(), odd).get("/api/tasks").expect(200);
        }
    }

    fn a_new_user_takes_the_email_over_from_an_older_row(app: AppWithDatabase) {
        let old = app.user("old");
        let new = now_called(&app.user("new"), json!(old.email), json!("New"));
        old.has_task("old's");
        new.has_task("new's");
        assert_eq!(column(&app, "email", &new), Some(old.email.clone()));
        assert_eq!(column(&app, "email", &old), None);
        assert_eq!(new.titles("/api/tasks"), ["new's"]);
        // The token is the authority: whoever calls with the email has it.
        let titles = now_called(&old, json!(old.email), json!("Old again")).titles("/api/tasks");
        assert_eq!(titles, ["old's"]);
    }

    // Of one process: of several, each has to see both of them once.
    fn whose_email_was_taken_over_does_not_take_it_back_with_each_list(db: Database) {
        let app = TestApp::start(db);
        let old = app.user("old");
        let new = now_called(&app.user("new"), json!(old.email), json!("New"));
        old.get("/api/tasks").expect(200);
        new.get("/api/tasks").expect(200);
        for _ in 0..3 {
            new.get("/api/tasks").expect(200);
            old.get("/api/tasks").expect(200);
            assert_eq!(column(&app, "email", &old), None);
            assert_eq!(column(&app, "email", &new), Some(old.email.clone()));
        }
    }

    fn who_lost_an_email_has_it_again_once_nobody_else_does(db: Database) {
        let app = TestApp::start(db);
        let old = app.user("old");
        let new = app.user("new");
        old.get("/api/tasks").expect(200);
        for (email, left) in [(&old.email, None), (&new.email, None)] {
            now_called(&new, json!(email), json!("New"))
                .get("/api/tasks")
                .expect(200);
            assert_eq!(column(&app, "email", &old), left);
        }
        old.get("/api/tasks").expect(200);
        assert_eq!(column(&app, "email", &old), Some(old.email.clone()));
        assert_eq!(column(&app, "email", &new), Some(new.email.clone()));
    }

    // Two sessions of one user, one of which has not fetched a new token yet.
    fn an_older_token_does_not_undo_what_a_newer_one_said(db: Database) {
        let app = TestApp::start(db);
        let older = app.user("ada");
        let newer = later_called(&older, json!(address(&app, "new")), json!("Augusta"));
        older.get("/api/tasks").expect(200);
        newer.get("/api/tasks").expect(200);
        // Who has the older address now, keeps it.
        let bob = now_called(&app.user("bob"), json!(older.email), json!("Bob"));
        bob.get("/api/tasks").expect(200);
        older.get("/api/tasks").expect(200);
        older.has_task("t");
        older.get("/api/tasks/999999").expect(404);
        assert_eq!(column(&app, "name", &older).as_deref(), Some("Augusta"));
        assert_eq!(column(&app, "email", &older), Some(address(&app, "new")));
        assert_eq!(column(&app, "email", &bob), Some(older.email.clone()));
    }

    fn a_claim_is_as_new_as_the_newest_token_that_makes_it(db: Database) {
        let app = TestApp::start(db);
        let ada = app.user("ada");
        let mut claims = ada.claims();
        let issued = claims["iat"].as_i64().unwrap();
        for (later, name) in [(0, "Ada"), (2, "Ada"), (1, "Augusta")] {
            claims["iat"] = json!(issued + later);
            claims["name"] = json!(name);
            ada.signed(&claims).get("/api/tasks").expect(200);
        }
        assert_eq!(column(&app, "name", &ada).as_deref(), Some("Ada"));
    }

    fn an_older_token_says_no_more_than_a_newer_one_leaves_out(db: Database) {
        let app = TestApp::start(db);
        let older = app.user("ada");
        let newer = later_called(&older, json!(address(&app, "new")), Value::Null);
        newer.get("/api/tasks").expect(200);
        let bob = now_called(&app.user("bob"), json!(older.email), json!("Bob"));
        bob.get("/api/tasks").expect(200);
        for user in [&older, &newer, &older] {
            user.get("/api/tasks").expect(200);
            assert_eq!(column(&app, "name", &older), Some(older.name.clone()));
            assert_eq!(column(&app, "email", &older), Some(address(&app, "new")));
        }
        assert_eq!(column(&app, "email", &bob), Some(older.email.clone()));
    }

    fn an_older_token_says_what_a_newer_one_leaves_out(db: Database) {
        let app = TestApp::start(db);
        let older = app.user("ada");
        later_called(&older, Value::Null, Value::Null)
            .get("/api/tasks")
            .expect(200);
        assert_eq!(column(&app, "email", &older), None);
        older.get("/api/tasks").expect(200);
        assert_eq!(column(&app, "email", &older), Some(older.email.clone()));
        assert_eq!(column(&app, "name", &older), Some(older.name.clone()));
    }

    fn a_known_user_takes_an_email_over_as_well(app: AppWithDatabase) {
        let ada = app.user("ada");
        let bob = app.user("bob");
        for user in [&ada, &bob] {
            user.get("/api/tasks").expect(200);
        }
        now_called(&bob, json!(ada.email), json!("Bob"))
            .get("/api/tasks")
            .expect(200);
        assert_eq!(column(&app, "email", &bob), Some(ada.email.clone()));
        assert_eq!(column(&app, "email", &ada), None);
    }

    fn users_who_fight_over_an_email_all_get_answers(app: AppWithDatabase) {
        let email = address(&app, "one");
        let users: Vec<Actor> = (0..12)
            .map(|n| now_called(&app.user(&format!("u{n}")), json!(email), json!("U")))
            .collect();
        std::thread::scope(|scope| {
            for user in &users {
                scope.spawn(|| {
                    for _ in 0..5 {
                        user.get("/api/tasks").expect(200);
                    }
                });
            }
        });
        assert_eq!(rows(&app), 12);
        let holders = || app.values(&format!("SELECT id FROM users WHERE email = '{email}'"));
        assert!(holders().len() <= 1);
        // Once the fight is over, whoever comes next has it.
        let last = now_called(&app.user("last"), json!(email), json!("L"));
        last.get("/api/tasks").expect(200);
        assert_eq!(holders(), [Some(last.id)]);
    }

    fn fifty_first_calls_at_once_make_one_row_and_fifty_answers(app: AppWithDatabase) {
        let ada = app.user("ada");
        std::thread::scope(|scope| {
            for number in 0..50 {
                let ada = &ada;
                scope.spawn(move || match number % 2 {
                    0 => ada.get("/api/tasks").expect(200),
                    _ => ada.post("/api/tasks", json!({ "title": "t" })).expect(201),
                });
            }
        });
        assert_eq!(rows(&app), 1);
        assert_eq!(ada.titles("/api/tasks").len(), 25);
    }

    fn a_row_deleted_underneath_comes_back_with_the_next_call(app: AppWithDatabase) {
        let ada = app.user("ada");
        for contract in CONTRACTS {
            let tasks = contract.tasks(&ada);
            let task = id(&ada.has_task("gone with its user"));
            let delete = || app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
            let is_back = |by: &str| {
                assert_eq!(rows(&app), 1, "after {by}");
                assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()), "after {by}");
            };

            delete();
            let answer = ada.post(&tasks, json!({ "title": "the first one after" }));
            answer.expect(201);
            is_back("POST");
            delete();
            assert_eq!(ada.get(&tasks).expect(200).json(), json!([]));
            is_back("GET of the list");
            delete();
            ada.get(&contract.task(&ada, task)).assert_problem(404);
            is_back("GET of an item");
            delete();
            ada.put(&contract.task(&ada, task), json!({ "title": "t" }))
                .assert_problem(404);
            is_back("PUT");
            delete();
            ada.patch(&contract.complete(&ada, task)).assert_problem(404);
            is_back("PATCH");
            delete();
            ada.delete(&contract.task(&ada, task)).assert_problem(404);
            is_back("DELETE");
        }
    }

    fn columns_that_another_program_adds_do_not_matter(db: Database) {
        let app = TestApp::builder(db).start();
        let ada = app.user("ada");
        ada.has_task("before");
        for column in [
            "email_verified boolean DEFAULT false NOT NULL",
            "image text",
            "updated_at text DEFAULT 'now' NOT NULL",
        ] {
            app.execute(&format!("ALTER TABLE users ADD COLUMN {column}"));
        }
        assert_eq!(ada.titles("/api/tasks"), ["before"]);
        now_called(&ada, json!("new@example.com"), json!("New")).has_task("after");
        app.user("bob").has_task("Bob's");
        assert_eq!(rows(&app), 2);
    }
);
