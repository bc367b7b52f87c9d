//! Later migrations only do what Citus allows on distributed tables (`docs/SCALING.md`). The first migration
//! is adapted by `deploy/citus/distribute.sql`, and later ones run on the result.
//!
//! The check needs no cluster: it applies a list of rules to the text of the migrations. Each rule was
//! observed on Citus 13.2.

use std::fs;

use super::ROOT;
use crate::support::{Database, OwnDatabase};

/// Splits a script into statements, and these into words and symbols. Words are in lower case, string
/// literals begin with `'`, and comments are removed. The content of `DO` blocks is either omitted or parsed
/// as further statements.
fn statements(sql: &str, blocks: bool) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").expect("the comment should be closed") + 2,
            '\'' | '"' => quoted(rest, first),
            '$' => {
                let (body, length) = in_dollars(rest);
                if blocks {
                    found.extend(statements(body, true));
                    found.push(Vec::new());
                }
                length
            }
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let statement = found.last_mut().unwrap();
        match first {
            ';' => found.push(Vec::new()),
            '\'' => statement.push(token[..length - 1].to_owned()),
            '"' => statement.push(token[1..length - 1].to_owned()),
            '$' | '-' | '/' => {}
            _ if is_word(first) => statement.push(token.to_lowercase()),
            _ if !first.is_whitespace() => statement.push(token.to_owned()),
            _ => {}
        }
    }
    found.retain(|statement| !statement.is_empty());
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn quoted(text: &str, quote: char) -> usize {
    let end = text[1..].find(quote).expect("the quotation should be closed");
    end + 2
}

fn in_dollars(text: &str) -> (&str, usize) {
    let tag = text[1..].find('$').expect("the dollar quote should have a tag") + 2;
    let end = text[tag..]
        .find(&text[..tag])
        .expect("the dollar quote should be closed");
    (&text[tag..tag + end], end + 2 * tag)
}

/// Returns the content of the next parentheses and the tokens after them.
fn parenthesised(tokens: &[String]) -> Option<(&[String], &[String])> {
    let start = tokens.iter().position(|token| token == "(")?;
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        depth += i32::from(token == "(") - i32::from(token == ")");
        if depth == 0 {
            return Some((&tokens[start + 1..index], &tokens[index + 1..]));
        }
    }
    None
}

/// Splits at the commas that are outside of parentheses.
fn parts(tokens: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let split = tokens.split(|token| {
        depth += i32::from(token == "(") - i32::from(token == ")");
        depth == 0 && token == ","
    });
    split.filter(|part| !part.is_empty()).collect()
}

fn has(tokens: &[String], word: &str) -> bool {
    tokens.iter().any(|token| token == word)
}

fn has_any(tokens: &[String], words: &[&str]) -> bool {
    words.iter().any(|word| has(tokens, word))
}

/// Returns the tokens after `words`, which may be inside a statement, as in `IF … THEN ALTER TABLE …`.
fn behind<'a>(tokens: &'a [String], words: &[&str]) -> Option<&'a [String]> {
    let start = tokens.windows(words.len()).position(|window| window == words)?;
    Some(&tokens[start + words.len()..])
}

fn without<'a>(mut tokens: &'a [String], noise: &[&str]) -> &'a [String] {
    while let [first, rest @ ..] = tokens {
        if !noise.contains(&first.as_str()) {
            break;
        }
        tokens = rest;
    }
    tokens
}

/// Returns the column by which a table is distributed.
fn user_column(table: &str) -> &'static str {
    if table == "users" { "id" } else { "user_id" }
}

const VOLATILE: [&str; 6] = [
    "clock_timestamp",
    "random",
    "gen_random_uuid",
    "timeofday",
    "nextval",
    "statement_timestamp",
];
const TIME: [&str; 4] = ["now", "current_timestamp", "current_date", "localtimestamp"];
const CONSTRAINTS: [&str; 6] = ["constraint", "primary", "unique", "check", "foreign", "exclude"];

/// Returns a description of each violation of the rules in a migration: changes that Citus refuses on a distributed
/// table or accepts without enforcing them, and new tables that are not distributed together with `tasks`.
fn refused(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    if statements(sql, false).len() > 1 {
        // Citus sends the text of the whole query to its nodes, and they accept only one statement.
        found.push("more than one statement; use a DO block".to_owned());
    }
    let statements = statements(sql, true);
    let mut distributed: Vec<&str> = vec!["users", "tasks", "idempotency_keys"];
    for tokens in &statements {
        let mut report = |what: &str| found.push(format!("{what}: {}", tokens.join(" ")));
        if let Some(rest) = behind(tokens, &["create_distributed_table"])
            && let Some((arguments, _)) = parenthesised(rest)
        {
            match arguments {
                [table, _, column, _, with, _, _, other]
                    if column == "'user_id" && with == "colocate_with" && other == "'tasks" =>
                {
                    distributed.push(table.trim_start_matches('\''));
                }
                _ => report("the table must be colocated with tasks by user_id"),
            }
        }
        if has(tokens, "create") && has(tokens, "trigger") {
            report("a trigger");
        }
        if behind(tokens, &["for", "update"]).is_some() || behind(tokens, &["for", "share"]).is_some() {
            report("a row lock, which is only possible on the rows of one user");
        }
        if let Some(rest) = behind(tokens, &["create", "table"]) {
            of_new_table(rest, &statements, &mut report);
        }
        if let Some(rest) = behind(tokens, &["create", "unique", "index"])
            && let Some(rest) = behind(rest, &["on"])
            && let ([table, rest @ ..], Some((columns, _))) = (without(rest, &["only"]), parenthesised(rest))
            && !has(columns, user_column(table))
            && !rest.is_empty()
        {
            report("a unique index without the user");
        }
        if let Some(rest) = behind(tokens, &["alter", "table"]) {
            of_alter_table(
                without(rest, &["if", "exists", "only"]),
                &distributed,
                &mut report,
            );
        }
        of_change(tokens, &mut report);
    }
    found
}

fn of_new_table(rest: &[String], all: &[Vec<String>], report: &mut impl FnMut(&str)) {
    let rest = without(rest, &["if", "not", "exists"]);
    let (Some(table), Some((columns, _))) = (rest.first(), parenthesised(rest)) else {
        return report("a table without explicit columns");
    };
    let named = format!("'{table}");
    if !all
        .iter()
        .any(|tokens| behind(tokens, &["create_distributed_table", "(", &named]).is_some())
    {
        report("a table that is not distributed");
    }
    if has(columns, "references") {
        // Citus accepts such a foreign key but then does not delete the rows of a deleted user.
        report("a foreign key before the table is distributed");
    }
    for column in parts(columns) {
        let unique = has(column, "unique") || has(column, "primary");
        if unique && !has(column, user_column(table)) {
            report("a unique key without the user");
        }
        let generated = has(column, "identity") || has_any(column, &["serial", "smallserial"]);
        if generated && !has(column, "bigint") {
            report("a generated number must be a bigint");
        }
    }
}

fn of_alter_table(rest: &[String], distributed: &[&str], report: &mut impl FnMut(&str)) {
    let [table, actions @ ..] = rest else { return };
    let user = user_column(table);
    let actions = parts(actions);
    for &action in &actions {
        match action {
            [add, constraint, ..] if add == "add" && CONSTRAINTS.contains(&constraint.as_str()) => {
                if actions.len() > 1 {
                    report("a constraint together with other changes in one statement");
                }
                of_new_constraint(table, action, distributed, report);
            }
            [add, ..] if add == "add" => {
                if has_any(action, &CONSTRAINTS) || has(action, "references") {
                    report("a constraint on a new column");
                }
                if has_any(action, &["identity", "serial", "bigserial", "smallserial"]) {
                    report("a generated number in a new column");
                }
            }
            [verb, rest @ ..] if ["alter", "drop", "rename"].contains(&verb.as_str()) => {
                let column = without(rest, &["column", "if", "exists"]).first();
                let typed = verb != "alter" || has(rest, "type");
                if typed && column.is_some_and(|column| column == user) {
                    report("a change of the distribution column");
                }
            }
            _ => {}
        }
    }
}

fn of_new_constraint(table: &str, action: &[String], distributed: &[&str], report: &mut impl FnMut(&str)) {
    let user = user_column(table);
    let columns = parenthesised(action).map_or(&[] as &[String], |(columns, _)| columns);
    if has_any(action, &["primary", "unique", "exclude"]) && !has(columns, user) {
        report("a unique key without the user");
    }
    let Some(target) = behind(action, &["references"]) else {
        return;
    };
    if !distributed.contains(&table) {
        report("a foreign key before the table is distributed");
    }
    let other = target.first().map_or("", String::as_str);
    let others = parenthesised(target).map_or(&[] as &[String], |(columns, _)| columns);
    let place = |columns: &[String], user: &str| {
        let columns = parts(columns);
        columns.iter().position(|column| column[0] == user)
    };
    let (ours, theirs) = (place(columns, user), place(others, user_column(other)));
    if !distributed.contains(&other) || ours.is_none() || ours != theirs {
        report("a foreign key to a row on another shard");
    }
}

fn of_change(tokens: &[String], report: &mut impl FnMut(&str)) {
    if let Some(rest) = behind(tokens, &["on", "conflict"]) {
        // Parentheses after DO do not contain the conflict target.
        let target = rest.split(|token| token == "do").next().unwrap();
        if let Some((columns, _)) = parenthesised(target)
            && !has(columns, "user_id")
            && !has(tokens, "users")
        {
            report("ON CONFLICT without the user");
        }
        if let Some(changes) = behind(rest, &["do", "update"])
            && (has_any(changes, &VOLATILE) || has_any(changes, &TIME))
        {
            report("a function in DO UPDATE SET");
        }
    }
    // `ON UPDATE …`, `FOR UPDATE` and `DO UPDATE SET` do not match, because `UPDATE` is not followed by a
    // table and `SET`.
    if let Some([table, rest @ ..]) = behind(tokens, &["update"])
        && let Some(changes) = behind(rest, &["set"])
        && table != "set"
    {
        // The result of adding an interval depends on the time zone, so Citus refuses it like a volatile
        // function.
        if has_any(changes, &VOLATILE) || has(changes, "interval") {
            report("a volatile function in UPDATE");
        }
        let changes = changes.split(|token| token == "where").next().unwrap();
        let moved = parts(changes)
            .iter()
            .any(|change| change[0] == user_column(table));
        if moved {
            report("a change of the row's user");
        }
    }
}

fn scripts() -> Vec<(String, [String; 2])> {
    let read = |name: String| {
        let script =
            |file: &str| fs::read_to_string(format!("{ROOT}/migrations/postgres/{name}/{file}")).unwrap();
        let both = [script("up.sql"), script("down.sql")];
        (name, both)
    };
    super::names(Database::Postgres).into_iter().map(read).collect()
}

/// Returns the example in `docs/SCALING.md` of a later migration that adds a table.
fn example() -> String {
    let text = fs::read_to_string(format!("{ROOT}/docs/SCALING.md")).unwrap();
    let (_, rest) = text
        .split_once("```sql\nDO $$")
        .expect("docs/SCALING.md should contain the example");
    let (example, _) = rest.split_once("\n```").unwrap();
    format!("DO $${example}")
}

#[test]
fn later_migrations_stay_within_what_a_distributed_table_allows() {
    let scripts = scripts();
    for (name, both) in &scripts[1..] {
        for script in both {
            let refused = refused(script);
            assert!(refused.is_empty(), "{name}: {refused:#?}");
        }
    }
}

#[test]
fn statements_that_a_distributed_table_refuses_are_reported() {
    // The first migration breaks the rules. `deploy/citus/distribute.sql` adapts its tables.
    let (_, [first, _]) = &scripts()[0];
    assert!(refused(first).len() >= 5, "{:#?}", refused(first));
    for sample in [
        "ALTER TABLE tasks ADD COLUMN a int; ALTER TABLE tasks ADD COLUMN b int",
        "CREATE TRIGGER t BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE OR REPLACE CONSTRAINT TRIGGER t AFTER INSERT ON tasks EXECUTE FUNCTION f()",
        "ALTER TABLE tasks ADD COLUMN priority int CHECK (priority > 0)",
        "ALTER TABLE tasks ADD priority int CONSTRAINT positive CHECK (priority > 0)",
        "alter table if exists only tasks add column if not exists slug text unique",
        "ALTER TABLE tasks ADD COLUMN parent bigint REFERENCES tasks (id)",
        "ALTER TABLE tasks ADD COLUMN place bigint PRIMARY KEY",
        "ALTER TABLE tasks ADD COLUMN a int, ADD COLUMN b int UNIQUE",
        "ALTER TABLE tasks ADD COLUMN a int, ADD CONSTRAINT small CHECK (a < 3)",
        "ALTER TABLE tasks ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE tasks ADD COLUMN place bigserial",
        "ALTER TABLE tasks ADD CONSTRAINT one UNIQUE (title)",
        "ALTER TABLE tasks ADD UNIQUE (title)",
        "ALTER TABLE users ADD UNIQUE (email)",
        "ALTER TABLE tasks ADD PRIMARY KEY (id)",
        "ALTER TABLE tasks ADD CONSTRAINT one EXCLUDE USING gist (title WITH =)",
        "ALTER TABLE tasks ADD FOREIGN KEY (parent) REFERENCES tasks (id)",
        "ALTER TABLE tasks ADD FOREIGN KEY (id, user_id) REFERENCES tasks (user_id, id)",
        "ALTER TABLE tasks ADD FOREIGN KEY (user_id) REFERENCES accounts (user_id)",
        "ALTER TABLE tasks ALTER COLUMN user_id TYPE varchar(255)",
        "ALTER TABLE tasks DROP COLUMN user_id",
        "ALTER TABLE users RENAME COLUMN id TO user_id",
        "CREATE UNIQUE INDEX one ON tasks (title)",
        "CREATE UNIQUE INDEX IF NOT EXISTS one ON users USING btree (lower(email))",
        "/* a */ CREATE UNIQUE INDEX one -- b\n ON \"tasks\" (title)",
        "DO $$ BEGIN IF true THEN ALTER TABLE tasks ADD COLUMN a int UNIQUE; END IF; END $$",
        "CREATE TABLE labels (user_id text, id bigint, PRIMARY KEY (user_id, id))",
        "CREATE TABLE labels AS SELECT 1",
        "INSERT INTO tasks (id, user_id, title) VALUES (1, 'a', 'b') ON CONFLICT (id) DO NOTHING",
        "INSERT INTO users (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET created_at = now()",
        "UPDATE tasks SET updated_at = clock_timestamp()",
        "UPDATE tasks SET due_date = due_date + interval '1 day'",
        "UPDATE tasks SET user_id = lower(user_id)",
        "SELECT id FROM tasks WHERE id = 1 FOR UPDATE",
    ] {
        assert!(!refused(sample).is_empty(), "{sample}");
    }
}

#[test]
fn statements_that_a_distributed_table_accepts_are_not_reported() {
    for sample in [
        "ALTER TABLE tasks ADD COLUMN priority text",
        "ALTER TABLE tasks ADD COLUMN rank int NOT NULL DEFAULT 0, ADD COLUMN colour text",
        "ALTER TABLE tasks ADD COLUMN seen_at timestamptz DEFAULT now()",
        "ALTER TABLE tasks ADD CONSTRAINT small CHECK (rank < 3); -- no trigger; no UNIQUE",
        "ALTER TABLE tasks ADD CONSTRAINT one UNIQUE (user_id, title)",
        "ALTER TABLE tasks ADD FOREIGN KEY (user_id, parent) REFERENCES tasks (user_id, id)",
        "ALTER TABLE tasks ALTER COLUMN user_id SET STATISTICS 500, ALTER rank DROP DEFAULT",
        "ALTER TABLE users DROP COLUMN name",
        "CREATE UNIQUE INDEX one ON tasks (user_id, lower(title))",
        "CREATE INDEX tasks_by_rank ON tasks (user_id, rank, id)",
        "UPDATE tasks SET rank = 1, updated_at = now() WHERE rank IS NULL",
        "INSERT INTO users (id) VALUES ('FOR UPDATE') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "COMMENT ON TABLE tasks IS 'has no trigger; CREATE TRIGGER t'",
        &example(),
    ] {
        assert_eq!(refused(sample), [] as [&str; 0], "{sample}");
    }
}

#[test]
fn the_example_is_reported_if_any_of_its_parts_is_changed() {
    let example = example();
    for (part, other) in [
        ("PRIMARY KEY (user_id, id)", "PRIMARY KEY (id)"),
        ("END\n$$;", "END\n$$; SELECT 1"),
        ("bigint", "int"),
        ("text NOT NULL", "text NOT NULL REFERENCES users (id)"),
        ("create_distributed_table", "create_reference_table"),
        ("colocate_with => 'tasks'", "colocate_with => 'none'"),
        ("FOREIGN KEY (user_id)", "FOREIGN KEY (name)"),
    ] {
        assert!(example.contains(part), "{part}");
        let changed = example.replacen(part, other, 1);
        assert!(!refused(&changed).is_empty(), "{changed}");
    }
}

#[test]
fn the_example_runs_on_a_database_without_citus() {
    let database = OwnDatabase::create(Database::Postgres);
    for (_, [up, _]) in scripts() {
        database.execute(&up);
    }
    database.execute(&example());
    database.execute("INSERT INTO users (id) VALUES ('ada')");
    database.execute("INSERT INTO labels (user_id, name) VALUES ('ada', 'red')");
    database.execute("DELETE FROM users");
    assert_eq!(
        database.value("SELECT count(*)::text FROM labels").as_deref(),
        Some("0")
    );
}
