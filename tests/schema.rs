//! The schema that other programs on the same database see and use.

use std::sync::Arc;

use rstest::rstest;
use serde_json::json;

use crate::support::app::Builder;
use crate::support::task::assert_is_task;
use crate::support::{CONTRACTS, Database, OwnDatabase, Postgres, Sqlite, TestApp};

/// The columns that other programs may rely on: table, column, whether it may be NULL.
const COLUMNS: [(&str, &str, bool); 13] = [
    ("users", "id", false),
    ("users", "email", true),
    ("users", "name", true),
    ("users", "created_at", false),
    ("users", "claims_issued_at", true),
    ("tasks", "id", false),
    ("tasks", "user_id", false),
    ("tasks", "title", false),
    ("tasks", "description", true),
    ("tasks", "completed", false),
    ("tasks", "due_date", true),
    ("tasks", "created_at", false),
    ("tasks", "updated_at", false),
];

/// Returns one attribute of a column of PostgreSQL from `information_schema`.
fn column(app: &TestApp, asked: &str, table: &str, column: &str) -> Option<String> {
    app.value(&format!(
        "SELECT {asked} FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = '{table}' AND column_name = '{column}'"
    ))
}

fn titles(app: &TestApp, user: &crate::support::Actor) -> Vec<Vec<String>> {
    let lists = CONTRACTS.map(|contract| user.titles(&format!("{}?sort=title", contract.tasks(user))));
    assert!(app.value("SELECT count(*) FROM tasks").is_some());
    lists.into()
}

#[rstest]
fn the_tables_and_their_columns_are_there(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    for (table, name, nullable) in COLUMNS {
        let found = match app.kind {
            Database::Postgres => column(&app, "is_nullable", table, name).map(|answer| answer == "YES"),
            // SQLite shows `tasks.id` as nullable, although an alias of the row id is never NULL.
            Database::Sqlite => app
                .value(&format!(
                    "SELECT \"notnull\" = 0 AND NOT (pk = 1 AND lower(type) = 'integer') \
                     FROM pragma_table_info('{table}') \
                     WHERE name = '{name}'"
                ))
                .map(|answer| answer == "1"),
        };
        assert_eq!(found, Some(nullable), "{table}.{name}");
    }
}

#[rstest]
fn every_filter_and_sort_has_an_index_that_begins_with_the_user(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    for columns in [
        "user_id, created_at, id",
        "user_id, title_key, id",
        "user_id, completed, created_at, id",
        "user_id, completed, title_key, id",
    ] {
        let count = match app.kind {
            Database::Postgres => app.value(&format!(
                "SELECT count(*)::text FROM pg_indexes \
                 WHERE tablename = 'tasks' AND indexdef LIKE '%({columns})'"
            )),
            Database::Sqlite => app.value(&format!(
                "SELECT count(*) FROM sqlite_master \
                 WHERE tbl_name = 'tasks' AND type = 'index' AND sql LIKE '%({columns})'"
            )),
        };
        assert_eq!(count.as_deref(), Some("1"), "{columns}");
    }
}

#[rstest]
fn a_row_with_only_the_required_columns_is_a_task(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    app.execute(&format!("INSERT INTO users (id) VALUES ('{}')", ada.id));
    for title in ["Zebra", "banana", "éclair", "Apple"] {
        app.execute(&format!(
            "INSERT INTO tasks (user_id, title) VALUES ('{}', '{title}')",
            ada.id
        ));
    }
    ada.has_task("cherry");
    let expected = ["Apple", "banana", "cherry", "éclair", "Zebra"];
    assert_eq!(titles(&app, &ada), [expected, expected]);
    for contract in CONTRACTS {
        for sort in ["created", "title", "due_date"] {
            let path = format!("{}?sort={sort}&status=pending", contract.tasks(&ada));
            let list = ada.get(&path).expect(200).json();
            let list = list.as_array().unwrap();
            assert_eq!(list.len(), 5);
            list.iter().for_each(assert_is_task);
        }
    }
}

#[rstest]
fn a_row_of_another_program_can_be_read_changed_toggled_and_deleted(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    app.execute(&format!(
        "INSERT INTO users (id, name) VALUES ('{}', 'A')",
        ada.id
    ));
    for contract in CONTRACTS {
        app.execute(&format!(
            "INSERT INTO tasks (user_id, title, description, completed) \
             VALUES ('{}', 'foreign', 'd', true)",
            ada.id
        ));
        let ours = format!("SELECT max(id) FROM tasks WHERE user_id = '{}'", ada.id);
        let id = app.value(&ours).unwrap();
        let item = contract.task(&ada, &id);
        let task = ada.get(&item).expect(200).json();
        assert_is_task(&task);
        assert_eq!(task["completed"], true);
        ada.patch(&contract.complete(&ada, &id)).expect(200);
        let changed = ada.put(&item, json!({ "title": "changed" })).expect(200).json();
        assert_eq!(changed["title"], "changed");
        assert_eq!(changed["completed"], false);
        assert_eq!(changed["created_at"], task["created_at"]);
        ada.delete(&item).expect(204);
    }
}

#[rstest]
fn a_title_changed_by_another_program_is_sorted_by_its_new_value(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in ["apple", "banana", "cherry"] {
        ada.has_task(title);
    }
    app.execute(&format!(
        "UPDATE tasks SET title = 'date' WHERE title = 'apple' AND user_id = '{}'",
        ada.id
    ));
    let expected = ["banana", "cherry", "date"];
    assert_eq!(titles(&app, &ada), [expected, expected]);
}

#[rstest]
fn a_title_that_is_a_blob_does_not_break_a_list(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    // Of the two databases, only SQLite accepts a BLOB in a text column.
    if db == Database::Sqlite {
        let app = TestApp::builder(db).start();
        let ada = app.user("ada");
        ada.has_task("t");
        app.execute(&format!(
            "INSERT INTO tasks (user_id, title) VALUES ('{}', CAST('bytes' AS BLOB))",
            ada.id
        ));
        assert_eq!(ada.titles("/api/tasks?sort=title").len(), 2);
    }
}

#[rstest]
fn tasks_are_deleted_with_their_user(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    ada.has_task("Ada's");
    eve.has_task("Eve's");
    app.execute(&format!("DELETE FROM users WHERE id = '{}'", ada.id));
    let owners = format!(
        "SELECT user_id FROM tasks WHERE user_id LIKE '{}'",
        app.unique("%")
    );
    assert_eq!(app.values(&owners), [Some(eve.id)]);
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([]));
}

#[rstest]
fn a_task_needs_an_existing_user(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let mut connection = app.connect();
    let insert = "INSERT INTO tasks (user_id, title) VALUES ('nobody', 't')";
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        connection.execute(insert);
    }));
    assert!(
        refused.is_err(),
        "the foreign key must also hold for other programs"
    );
}

#[rstest]
fn an_email_is_unique(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    app.execute("INSERT INTO users (id, email) VALUES ('a', 'one@example.com')");
    app.execute("INSERT INTO users (id, email) VALUES ('b', NULL), ('c', NULL)");
    let mut connection = app.connect();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        connection.execute("INSERT INTO users (id, email) VALUES ('d', 'one@example.com')");
    }));
    assert!(refused.is_err());
}

#[rstest]
fn existing_rows_of_the_users_table_are_kept(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    {
        let app = Builder::on(Arc::clone(&database)).start();
        app.execute("INSERT INTO users (id, email, name) VALUES ('ada', 'a@example.com', 'A')");
    }
    let app = Builder::on(database).start();
    let mut claims = app.user("any").claims();
    claims["sub"] = json!("ada");
    claims["email"] = json!("b@example.com");
    app.user("any").signed(&claims).has_task("t");
    assert_eq!(
        app.value("SELECT email FROM users").as_deref(),
        Some("b@example.com")
    );
}

#[test]
fn postgresql_has_the_types_that_other_programs_expect() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    for (table, name, expected) in [
        ("users", "id", "text"),
        ("users", "email", "text"),
        ("users", "name", "text"),
        ("users", "created_at", "timestamp with time zone"),
        ("users", "claims_issued_at", "double precision"),
        ("tasks", "id", "bigint"),
        ("tasks", "user_id", "text"),
        ("tasks", "completed", "boolean"),
        ("tasks", "due_date", "timestamp with time zone"),
        ("tasks", "created_at", "timestamp with time zone"),
        ("tasks", "updated_at", "timestamp with time zone"),
    ] {
        let found = column(&app, "data_type", table, name);
        assert_eq!(found.as_deref(), Some(expected), "{table}.{name}");
    }
    assert_eq!(column(&app, "is_identity", "tasks", "id").as_deref(), Some("YES"));
}

#[test]
fn it_works_without_the_unique_index_on_email() {
    skip_at_a_deployment!();
    let app = TestApp::builder(Database::Postgres).start();
    app.execute(
        "DO $$ DECLARE c record; BEGIN \
         FOR c IN SELECT conname FROM pg_constraint \
             WHERE conrelid = 'users'::regclass AND contype = 'u' LOOP \
             EXECUTE format('ALTER TABLE users DROP CONSTRAINT %I', c.conname); END LOOP; \
         FOR c IN SELECT indexrelid::regclass::text AS name FROM pg_index \
             WHERE indrelid = 'users'::regclass AND indisunique AND NOT indisprimary LOOP \
             EXECUTE 'DROP INDEX ' || c.name; END LOOP; END $$",
    );
    let claims = |name: &str| {
        let user = app.user(name);
        let mut claims = user.claims();
        claims["email"] = json!("one@example.com");
        user.signed(&claims)
    };
    for name in ["ada", "eve", "ada", "bob"] {
        claims(name).has_task("t");
    }
    let users = app.value("SELECT count(*) FROM users");
    assert_eq!(users.as_deref(), Some("3"));
}
