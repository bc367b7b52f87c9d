//! The row in `users`: when the service creates and updates it, and what happens when it is missing.

use std::sync::Arc;

use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::Builder;
use crate::support::cluster::connect_for_migrations;
use crate::support::database::Connection;
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Database, OwnDatabase, Postgres, Sqlite, TestApp};

fn column(app: &TestApp, column: &str, user: &Actor) -> Option<String> {
    app.value(&format!("SELECT {column} FROM users WHERE id = '{}'", user.id))
}

/// Returns the number of rows of this test's users.
fn rows(app: &TestApp) -> usize {
    let ours = app.unique("%");
    app.values(&format!("SELECT id FROM users WHERE id LIKE '{ours}'"))
        .len()
}

/// Returns an email address that no other test uses.
fn address(app: &TestApp, name: &str) -> String {
    format!("{}@example.com", app.unique(name))
}

/// Returns the same user with a token that has this `email` and `name`. `null` leaves the claim out.
fn with_profile(user: &Actor, email: Value, name: Value) -> Actor {
    with_claims_and_profile(user, user.claims(), email, name)
}

/// Like [`with_profile`], but the token was issued `seconds` later, or earlier if `seconds` is negative.
fn with_later_profile(user: &Actor, seconds: i64, email: Value, name: Value) -> Actor {
    let mut claims = user.claims();
    claims["iat"] = json!(claims["iat"].as_i64().unwrap() + seconds);
    with_claims_and_profile(user, claims, email, name)
}

fn with_claims_and_profile(user: &Actor, mut claims: Value, email: Value, name: Value) -> Actor {
    for (claim, value) in [("email", email), ("name", name)] {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(claim),
            value => claims.as_object_mut().unwrap().insert(claim.to_owned(), value),
        };
    }
    user.signed(&claims)
}

#[rstest]
fn the_first_call_of_any_kind_creates_the_row(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
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

#[rstest]
fn a_refused_call_leaves_no_row(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let mut claims = ada.claims();
    claims["exp"] = json!(1);
    ada.signed(&claims).get("/api/tasks").assert_unauthorized();
    assert_eq!(rows(&app), 0);
}

#[rstest]
fn the_row_follows_the_tokens_email_and_name(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    let created = column(&app, "created_at", &ada);
    for (email, name) in [("new", "New"), ("newer", "Newer 😀")] {
        let email = address(&app, email);
        with_profile(&ada, json!(email), json!(name))
            .get("/api/tasks")
            .expect(200);
        assert_eq!(column(&app, "email", &ada), Some(email));
        assert_eq!(column(&app, "name", &ada).as_deref(), Some(name));
    }
    assert_eq!(column(&app, "created_at", &ada), created);
    assert_eq!(rows(&app), 1);
}

#[rstest]
fn email_and_name_come_from_the_user_object_too(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
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

#[rstest]
fn a_token_without_email_and_name_leaves_them_unchanged(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.get("/api/tasks").expect(200);
    with_profile(&ada, Value::Null, Value::Null)
        .get("/api/tasks")
        .expect(200);
    assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
    assert_eq!(column(&app, "name", &ada), Some(ada.name.clone()));
    with_profile(&ada, Value::Null, json!("Only a name"))
        .get("/api/tasks")
        .expect(200);
    assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
    assert_eq!(column(&app, "name", &ada).as_deref(), Some("Only a name"));

    let bob = with_profile(&app.user("bob"), Value::Null, Value::Null);
    bob.get("/api/tasks").expect(200);
    assert_eq!(column(&app, "email", &bob), None);
    assert_eq!(column(&app, "name", &bob), None);
}

#[rstest]
fn an_unusual_email_or_name_is_not_an_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
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
        // These claims are optional and do not identify the user, so an unusual value must not be an error.
        with_profile(&user, odd.clone(), odd.clone())
            .get("/api/tasks")
            .expect(200);
        let other = app.user(&format!("other{number}"));
        with_profile(&other, odd.clone(), odd)
            .get("/api/tasks")
            .expect(200);
    }
}

#[rstest]
fn an_email_that_another_row_holds_is_left_out(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let old = app.user("old");
    let new = with_profile(&app.user("new"), json!(old.email), json!("New"));
    old.has_task("old's");
    new.has_task("new's");
    assert_eq!(column(&app, "email", &new), None);
    assert_eq!(column(&app, "name", &new).as_deref(), Some("New"));
    assert_eq!(column(&app, "email", &old), Some(old.email.clone()));
    assert_eq!(new.titles("/api/tasks"), ["new's"]);
    assert_eq!(old.titles("/api/tasks"), ["old's"]);
}

#[rstest]
fn an_email_that_another_row_holds_does_not_keep_the_name_from_being_refreshed(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let bob = app.user("bob");
    for user in [&ada, &bob] {
        user.get("/api/tasks").expect(200);
    }
    with_later_profile(&bob, 10, json!(ada.email), json!("Robert"))
        .get("/api/tasks")
        .expect(200);
    assert_eq!(column(&app, "email", &bob), Some(bob.email.clone()));
    assert_eq!(column(&app, "name", &bob).as_deref(), Some("Robert"));
    assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
}

#[rstest]
fn a_newer_token_takes_an_email_that_has_become_free(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let old = app.user("old");
    let new = app.user("new");
    old.get("/api/tasks").expect(200);
    let wanting = |seconds| with_later_profile(&new, seconds, json!(old.email), json!("New"));
    wanting(0).get("/api/tasks").expect(200);
    assert_eq!(column(&app, "email", &new), None);
    with_later_profile(&old, 10, json!(address(&app, "other")), json!("Old"))
        .get("/api/tasks")
        .expect(200);
    wanting(10).get("/api/tasks").expect(200);
    assert_eq!(column(&app, "email", &new), Some(old.email.clone()));
    assert_eq!(column(&app, "email", &old), Some(address(&app, "other")));
}

// A service receives an older token after a newer one if a user has two sessions, and one of them still uses its old
// token.
#[rstest]
fn an_older_token_does_not_undo_the_changes_of_a_newer_one(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::start(db);
    let older = app.user("ada");
    let newer = with_later_profile(&older, 10, json!(address(&app, "new")), json!("Augusta"));
    older.get("/api/tasks").expect(200);
    newer.get("/api/tasks").expect(200);
    // Another user now gets the old address and must keep it.
    let bob = with_profile(&app.user("bob"), json!(older.email), json!("Bob"));
    bob.get("/api/tasks").expect(200);
    older.get("/api/tasks").expect(200);
    older.has_task("t");
    older.get("/api/tasks/999999").expect(404);
    assert_eq!(column(&app, "name", &older).as_deref(), Some("Augusta"));
    assert_eq!(column(&app, "email", &older), Some(address(&app, "new")));
    assert_eq!(column(&app, "email", &bob), Some(older.email.clone()));
}

#[rstest]
fn a_claim_is_as_new_as_the_newest_token_that_makes_it(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
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

#[rstest]
fn an_older_token_does_not_add_what_a_newer_one_leaves_out(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::start(db);
    let older = app.user("ada");
    let newer = with_later_profile(&older, 10, json!(address(&app, "new")), Value::Null);
    for user in [&newer, &older, &newer] {
        user.get("/api/tasks").expect(200);
        assert_eq!(column(&app, "name", &older), None);
        assert_eq!(column(&app, "email", &older), Some(address(&app, "new")));
    }
}

#[rstest]
fn only_a_newer_token_refreshes_the_row_in_any_process(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let apps = [0, 1].map(|_| Builder::on(Arc::clone(&database)).start());
    let ada = apps[0].user("ada");
    let tokens = [("Ada", 0), ("Augusta", 10), ("Ada", 20), ("Countess", 30)]
        .map(|(name, issued)| with_later_profile(&ada, issued, json!(ada.email), json!(name)));
    // Each entry is a token, the process that receives it, and the name that the row must have
    // afterwards.
    for (token, process, expected) in [
        (0, 0, "Ada"),
        (0, 1, "Ada"),
        (1, 0, "Augusta"),
        (0, 1, "Augusta"),
        (0, 0, "Augusta"),
        // The second process has only seen tokens with this name. It does not know that the row has another name now.
        (2, 1, "Ada"),
        (1, 0, "Ada"),
        (3, 0, "Countess"),
        (2, 1, "Countess"),
        (1, 1, "Countess"),
    ] {
        tokens[token]
            .at(apps[process].target())
            .get("/api/tasks")
            .expect(200);
        let name = database.value("SELECT name FROM users");
        assert_eq!(
            name.as_deref(),
            Some(expected),
            "token {token} at process {process}"
        );
    }
    // This process has not seen any of the tokens.
    let third = Builder::on(Arc::clone(&database)).start();
    for token in [1, 3, 0] {
        tokens[token].at(third.target()).has_task("t");
        let name = database.value("SELECT name FROM users");
        assert_eq!(name.as_deref(), Some("Countess"), "token {token}");
    }
}

#[rstest]
fn a_token_without_iat_creates_a_row_but_does_not_refresh_one(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let undated = |name: &str| {
        let mut claims = ada.claims();
        claims.as_object_mut().unwrap().remove("iat");
        with_claims_and_profile(&ada, claims, json!(ada.email), json!(name))
    };
    undated("Ada").get("/api/tasks").expect(200);
    undated("Augusta").get("/api/tasks").expect(200);
    assert_eq!(column(&app, "name", &ada).as_deref(), Some("Ada"));
    // A row that was created from a token without `iat` counts as older than every token with `iat`.
    with_profile(&ada, json!(ada.email), json!("Countess"))
        .get("/api/tasks")
        .expect(200);
    assert_eq!(column(&app, "name", &ada).as_deref(), Some("Countess"));
    undated("Ada").get("/api/tasks").expect(200);
    assert_eq!(column(&app, "name", &ada).as_deref(), Some("Countess"));
}

#[rstest]
fn only_one_of_several_users_with_the_same_email_gets_it(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let email = address(&app, "one");
    let users: Vec<Actor> = (0..12)
        .map(|n| with_profile(&app.user(&format!("u{n}")), json!(email), json!("U")))
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
    let holder = holders();
    assert_eq!(holder.len(), 1);
    let last = with_later_profile(&app.user("last"), 10, json!(email), json!("L"));
    last.get("/api/tasks").expect(200);
    assert_eq!(holders(), holder);
}

#[rstest]
fn fifty_concurrent_first_calls_create_one_row(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
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

#[rstest]
fn a_row_deleted_by_another_program_is_recreated_by_the_next_write(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let tasks = contract.tasks(&ada);
        let task = id(&ada.has_task("gone with its user"));
        let delete = || app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
        let is_back = |by: &str| {
            assert_eq!(rows(&app), 1, "after {by}");
            assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()), "after {by}");
            assert_eq!(ada.titles(&tasks), [by]);
        };

        delete();
        ada.post(&tasks, json!({ "title": "POST" })).expect(201);
        is_back("POST");
        delete();
        assert_eq!(ada.get(&tasks).expect(200).json(), json!([]));
        ada.get(&contract.task(&ada, task)).assert_problem(404);
        ada.put(&contract.task(&ada, task), json!({ "title": "t" }))
            .assert_problem(404);
        ada.patch(&contract.complete(&ada, task)).assert_problem(404);
        ada.delete(&contract.task(&ada, task)).assert_problem(404);
        let key = [("content-type", "application/json"), ("idempotency-key", "k")];
        let body = json!({ "title": "POST with a key" }).to_string();
        ada.request("POST", &tasks, &key, body.as_bytes()).expect(201);
        is_back("POST with a key");
        delete();
    }
}

#[rstest]
fn columns_that_another_program_adds_are_ignored(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    ada.has_task("before");
    for column in ["image text", "updated_at text DEFAULT 'now' NOT NULL"] {
        app.execute(&format!("ALTER TABLE users ADD COLUMN {column}"));
    }
    assert_eq!(ada.titles("/api/tasks"), ["before"]);
    with_profile(&ada, json!("new@example.com"), json!("New")).has_task("after");
    app.user("bob").has_task("Bob's");
    assert_eq!(rows(&app), 2);
}

// Better Auth's migration may run while the service is running. The service recognizes Better Auth's table by the
// column that this migration adds, which has one of two names.
#[rstest]
fn a_table_that_becomes_better_auths_is_no_longer_written(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    for better_auth_column in ["email_verified", "\"emailVerified\""] {
        let app = TestApp::builder(db).start();
        let ada = app.user("ada");
        let task = id(&ada.has_task("before"));
        app.execute(&format!(
            "ALTER TABLE users ADD COLUMN {better_auth_column} boolean DEFAULT false NOT NULL"
        ));
        // This user has no row.
        let bob = app.user("bob");
        assert_every_call_is_unauthorized(&bob, task);
        // This user has a row. The token is newer than the row, and one of the processes has not seen the user yet.
        let other = Builder::on(Arc::clone(app.database())).start();
        let renamed = with_later_profile(&ada, 10, json!(address(&app, "new")), json!("Augusta"));
        for target in [app.target(), other.target()] {
            let renamed = renamed.at(target);
            assert!(renamed.titles("/api/tasks").contains(&"before".to_owned()));
            renamed.has_task("after");
        }
        assert_eq!(column(&app, "name", &ada), Some(ada.name.clone()));
        assert_eq!(column(&app, "email", &ada), Some(ada.email.clone()));
        assert_eq!(rows(&app), 1);
        // The user's row is deleted. A process that has seen the user notices this only at the next write.
        app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
        ada.post("/api/tasks", json!({ "title": "t" }))
            .assert_unauthorized();
        assert_eq!(other.user_with_id(&ada.id).get("/api/tasks").status, 200);
        let third = Builder::on(Arc::clone(app.database())).start();
        assert_every_call_is_unauthorized(&ada.at(third.target()), task);
        assert_eq!(rows(&app), 0);
        assert!(
            third
                .log()
                .contains("does not exist (any more) in Better Auth's users table")
        );
    }
}

#[rstest]
fn the_service_starts_on_a_users_table_that_better_auth_created(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let created_at = match db {
        Database::Sqlite => "text DEFAULT '2026-01-01T00:00:00.000000Z'",
        Database::Postgres => "timestamptz DEFAULT now()",
    };
    database.execute(&format!(
        "CREATE TABLE users (id text PRIMARY KEY, email text UNIQUE NOT NULL, name text NOT NULL, \
         email_verified boolean NOT NULL, created_at {created_at} NOT NULL)"
    ));
    let app = Builder::on(Arc::clone(&database)).start();
    let ada = app.user("ada");
    app.execute(&format!(
        "INSERT INTO users (id, email, name, email_verified) VALUES ('{}', 'ada@example.com', 'Ada', true)",
        ada.id
    ));
    ada.has_task("t");
    assert_every_call_is_unauthorized(&app.user("bob"), 1);
}

#[rstest]
fn the_migration_adds_no_column_to_a_table_of_better_auth(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    migrate_as_version_0_1_0_did(&database);
    database.execute("ALTER TABLE users ADD COLUMN email_verified boolean DEFAULT false NOT NULL");
    let app = Builder::on(Arc::clone(&database)).start();
    let ada = app.user("ada");
    app.execute(&format!("INSERT INTO users (id) VALUES ('{}')", ada.id));
    ada.has_task("t");
    assert_every_call_is_unauthorized(&app.user("bob"), 1);
    let columns = match db {
        Database::Sqlite => "SELECT name FROM pragma_table_info('users')",
        Database::Postgres => {
            "SELECT column_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = 'users'"
        }
    };
    let columns = app.values(columns);
    assert!(columns.contains(&Some("email_verified".to_owned())));
    assert!(!columns.contains(&Some("claims_issued_at".to_owned())));
}

#[track_caller]
fn assert_every_call_is_unauthorized(user: &Actor, task: i64) {
    for contract in CONTRACTS {
        let (tasks, item) = (contract.tasks(user), contract.task(user, task));
        let key = [("content-type", "application/json"), ("idempotency-key", "k")];
        for answer in [
            user.get(&tasks),
            user.post(&tasks, json!({ "title": "t" })),
            user.request("POST", &tasks, &key, br#"{"title": "t"}"#),
            user.get(&item),
            user.put(&item, json!({ "title": "t" })),
            user.patch(&contract.complete(user, task)),
            user.delete(&item),
        ] {
            answer.assert_unauthorized();
        }
    }
}

fn migrate_as_version_0_1_0_did(database: &OwnDatabase) {
    let folder = |name: &str| format!("{}/migrations/{name}", env!("CARGO_MANIFEST_DIR"));
    let migrations = |name: &str| FileBasedMigrations::from_path(folder(name)).unwrap();
    let applied = match database.connect() {
        Connection::Sqlite(mut conn) => conn.run_next_migration(migrations("sqlite")).unwrap().to_string(),
        Connection::Postgres(_) => connect_for_migrations(&database.url)
            .run_next_migration(migrations("postgres"))
            .unwrap()
            .to_string(),
    };
    assert_eq!(applied, "20260101000000");
}
