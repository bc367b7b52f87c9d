//! The query plans of both databases for lists.

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::Value;

use crate::support::database::Connection;
use crate::support::statements::Statement;
use crate::support::{TestApp, statements};

/// The most recent page query in the log of PostgreSQL.
#[derive(Debug)]
pub struct LastList(Statement);

impl LastList {
    #[track_caller]
    pub fn of(app: &TestApp) -> Self {
        let is_list = |statement: &Statement| statement.text.contains(" LIMIT ");
        let last = statements::recorded(app).into_iter().rfind(is_list);
        Self(last.expect("the server's log should contain a list query"))
    }

    fn sql(&self, write: impl Fn(&str) -> String) -> String {
        let mut sql = self.0.text.clone();
        // Replaces the last parameter first, because `$1` is a prefix of `$10`.
        for (at, value) in self.0.parameters.iter().enumerate().rev() {
            sql = sql.replace(&format!("${}", at + 1), &write(value));
        }
        sql
    }
}

/// Returns whether the value looks like `'2026-01-01 00:00:00+00'`.
fn is_time(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() > 20 && bytes[5] == b'-' && bytes[8] == b'-' && bytes[11] == b' '
}

#[derive(Debug)]
pub struct Plan(Value);

pub fn plan_in_postgres(app: &TestApp, list: &LastList) -> Plan {
    let sql = list.sql(|value| match is_time(value) {
        true => format!("timestamptz {value}"),
        false => value.to_owned(),
    });
    // A query cannot use the result of `EXPLAIN`, but it can use the result of a function that executes `EXPLAIN`.
    app.execute(
        "CREATE OR REPLACE FUNCTION lines_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $f$ \
         DECLARE line text; \
         BEGIN FOR line IN EXECUTE query LOOP RETURN NEXT line; END LOOP; END $f$",
    );
    let lines = app.values(&format!(
        "SELECT lines_of($q$EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}$q$)"
    ));
    let text: String = lines.into_iter().flatten().collect();
    let plan: Value = serde_json::from_str(&text).unwrap();
    Plan(plan[0]["Plan"].clone())
}

impl Plan {
    /// Returns this property of every plan node that has it.
    pub fn all(&self, property: &str) -> Vec<String> {
        fn collect(node: &Value, property: &str, found: &mut Vec<String>) {
            found.extend(node[property].as_str().map(str::to_owned));
            for child in node["Plans"].as_array().into_iter().flatten() {
                collect(child, property, found);
            }
        }
        let mut found = Vec::new();
        collect(&self.0, property, &mut found);
        assert!(!found.is_empty(), "no node has {property}: {self:?}");
        found
    }

    /// Returns the number of blocks read, from the cache or the disk. The figures of the root node include
    /// those of all other nodes.
    pub fn blocks(&self) -> u64 {
        let blocks = |property: &str| {
            self.0[property]
                .as_u64()
                .expect("the plan should contain the number of blocks")
        };
        blocks("Shared Hit Blocks") + blocks("Shared Read Blocks")
    }
}

pub fn plan_in_sqlite(app: &TestApp, list: &LastList) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    let Connection::Sqlite(mut connection) = app.connect() else {
        panic!("the plan needs a SQLite database")
    };
    // Diesel writes parentheses around the members of a union, which SQLite does not accept. They are turned
    // into subqueries.
    let sql = list.sql(str::to_owned);
    let sql = match sql.strip_prefix('(') {
        Some(rest) => {
            let rest = rest.replacen(" UNION ALL (", " UNION ALL SELECT * FROM (", 1);
            format!("SELECT * FROM ({rest}")
        }
        None => sql,
    };
    let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
        .load(&mut connection)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    steps.into_iter().map(|step| step.detail).collect()
}
