//! On a cluster whose tables are distributed by user, each statement must concern a single shard. This is checked
//! without a cluster: the texts of all statements that the service sends during the API suite are analysed. The check
//! also shows that none of these statements accesses the rows of a user whom it does not name.

use std::collections::{BTreeMap, BTreeSet};

use super::owners::users_of;
use crate::support::statements::Statement;

/// The statements that need not name a user, each with the reason.
const EXEMPT: [(&str, &str); 10] = [
    (
        "SELECT \"__diesel_schema_migrations\".\"version\" FROM \"__diesel_schema_migrations\"",
        "for /readyz; the table has no rows of users",
    ),
    (
        "SELECT 1 FROM users WHERE 1 = 0; SELECT 1 FROM tasks WHERE 1 = 0; \
         SELECT 1 FROM idempotency_keys WHERE 1 = 0",
        "for /readyz; with a condition that is always false, a cluster contacts no worker",
    ),
    (
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        "the statements of the transaction are checked separately",
    ),
    (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "begins the snapshot of a long list; its statements are checked separately",
    ),
    ("COMMIT", "ends a transaction"),
    ("ROLLBACK", "ends a transaction"),
    ("BEGIN", "begins the check of a pooler on a new connection"),
    (
        "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^s[0-9]+$'",
        "the check of a pooler, which reads only the session's own state",
    ),
    ("SET TIME ZONE 'UTC'", "sent by Diesel on a new connection"),
    (
        "SET CLIENT_ENCODING TO 'UTF8'",
        "sent by Diesel on a new connection",
    ),
];

/// The beginnings of statements that the service must have sent, because only statements that it sends are checked.
const EXPECTED_STATEMENTS: [&str; 10] = [
    "INSERT INTO \"users\"",
    "SELECT \"users\"",
    "SELECT EXISTS (SELECT 1 FROM pg_attribute",
    "INSERT INTO \"tasks\"",
    "SELECT \"tasks\"",
    "UPDATE \"tasks\"",
    "UPDATE tasks SET title_key",
    "DELETE FROM \"tasks\"",
    "INSERT INTO \"idempotency_keys\"",
    "DELETE FROM \"idempotency_keys\"",
];

/// Checks that each statement accesses the rows of at most one user, whom it names by a parameter.
#[track_caller]
fn assert_about_one_user(statements: &[Statement]) {
    // Each text is analysed only once, although the service sends it many times.
    let mut users: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for Statement { text, parameters, .. } in statements {
        if EXEMPT.iter().any(|(exempt, _)| exempt == text) {
            continue;
        }
        let users = users.entry(text).or_insert_with(|| match users_of(text) {
            Ok(users) => users,
            Err(complaint) => panic!("invalid statement: {complaint}:\n{text}"),
        });
        let named: BTreeSet<&String> = users.iter().map(|number| &parameters[number - 1]).collect();
        assert!(
            named.len() <= 1,
            "the statement names several users, {named:?}:\n{text}"
        );
    }
}

/// Checks every recorded statement, and that the service has sent each expected and each exempt statement.
#[track_caller]
pub fn assert_distributable(recorded: &[Statement]) {
    assert_about_one_user(recorded);
    let is_there = |start: &str| recorded.iter().any(|statement| statement.text.starts_with(start));
    for start in EXPECTED_STATEMENTS {
        assert!(is_there(start), "no recorded statement begins with {start}");
    }
    for (statement, _) in EXEMPT {
        assert!(
            is_there(statement),
            "the exempt statement is never sent: {statement}"
        );
    }
}

/// Tests the check itself, with statements that it must accept and statements that it must refuse.
#[test]
fn statements_that_a_cluster_would_refuse_are_detected() {
    for statement in [
        "SELECT 1",
        "SELECT title FROM tasks WHERE user_id = $1 AND id = $2",
        r#"SELECT "id" FROM "users" WHERE ("users"."id" = $1) LIMIT $2"#,
        "SELECT title FROM tasks t WHERE ((t.user_id = $1) AND ((completed = $2) OR (completed = $3))) FOR UPDATE",
        "(SELECT id FROM tasks WHERE $1 = user_id) UNION ALL (SELECT 0 FROM users WHERE id = $2)",
        "SELECT EXISTS (SELECT 1 FROM tasks AS other WHERE other.user_id = $1)",
        "UPDATE tasks SET completed = NOT (completed), updated_at = now() WHERE user_id = $1 AND id = $2",
        "DELETE FROM idempotency_keys WHERE user_id = $1 AND created_at < $2",
        "INSERT INTO tasks (title, user_id) VALUES (coalesce($1, ''), $2)",
        "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name \
         WHERE coalesce(users.claims_issued_at, 0) <= excluded.claims_issued_at",
        "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'users'::regclass)",
        "INSERT INTO idempotency_keys (user_id, key) VALUES ($1, $2) ON CONFLICT (user_id, key) DO NOTHING",
    ] {
        assert_eq!(users_of(statement).err(), None, "{statement}");
    }
    for (statement, complaint) in [
        ("SELECT title FROM tasks WHERE id = $1", "of any user"),
        ("SELECT title FROM tasks", "of any user"),
        ("SELECT title FROM tasks WHERE user_id <> $1", "of any user"),
        ("SELECT title FROM tasks WHERE user_id = ANY($1)", "of any user"),
        ("SELECT title FROM tasks WHERE NOT (user_id = $1)", "of any user"),
        (
            "SELECT title FROM tasks WHERE user_id = $1 OR id = $2",
            "of any user",
        ),
        (
            "SELECT title FROM tasks WHERE ((user_id = $1) OR (id = $2))",
            "of any user",
        ),
        (
            "SELECT title FROM tasks WHERE user_id = tasks.title",
            "of any user",
        ),
        (
            "SELECT id FROM tasks WHERE CASE WHEN true AND user_id = $1 AND false THEN false END",
            "of any user",
        ),
        (
            "SELECT 1 FROM tasks JOIN users ON users.id = user_id WHERE tasks.user_id = $1",
            "`users`",
        ),
        (
            "SELECT 1 FROM tasks, tasks AS other WHERE tasks.user_id = $1",
            "`other`",
        ),
        (
            "SELECT id FROM users WHERE id = $1 AND EXISTS (SELECT 1 FROM tasks)",
            "`tasks`",
        ),
        (
            "(SELECT id FROM tasks WHERE user_id = $1) UNION ALL (SELECT 0 FROM users)",
            "`users`",
        ),
        ("SELECT id FROM tasks WHERE id = $1 FOR UPDATE", "of any user"),
        ("SELECT 1 FROM settings FOR UPDATE", "without owners"),
        ("DELETE FROM tasks WHERE id = $1", "of any user"),
        (
            "DELETE FROM tasks USING users WHERE tasks.user_id = $1",
            "not understood",
        ),
        ("UPDATE tasks SET completed = $1 WHERE id = $2", "of any user"),
        (
            "UPDATE users SET email = $1 WHERE email = $2 AND id != $3",
            "of any user",
        ),
        (
            "UPDATE tasks SET updated_at = clock_timestamp() WHERE user_id = $1",
            "clock_timestamp",
        ),
        (
            "UPDATE tasks SET title = coalesce(title, random()) WHERE user_id = $1",
            "random",
        ),
        ("INSERT INTO tasks (title) VALUES ($1)", "one row of one user"),
        (
            "INSERT INTO tasks (user_id) VALUES ($1), ($2)",
            "one row of one user",
        ),
        (
            "INSERT INTO tasks (user_id) SELECT id FROM users",
            "one row of one user",
        ),
        (
            "INSERT INTO tasks (id, user_id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            "ON CONFLICT",
        ),
        (
            "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET created_at = now()",
            "`now`",
        ),
        (
            "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET created_at = current_timestamp",
            "`current_timestamp`",
        ),
        ("WITH t AS (SELECT 1) SELECT * FROM t", "WITH"),
        ("SELECT 1; DELETE FROM tasks", "several statements"),
        ("TRUNCATE tasks", "not a query"),
        ("LOCK TABLE tasks", "not a query"),
    ] {
        let said = users_of(statement).err().unwrap_or_default();
        assert!(said.contains(complaint), "{statement}: {said:?}");
    }
}
