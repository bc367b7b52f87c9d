//! The statements that the service sent to PostgreSQL, read from the server's log.

use super::cluster::Cluster;
use super::database::OwnDatabase;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    /// Whether the statement was executed under the name of a prepared statement.
    pub prepared: bool,
    /// The parameters as the log contains them: in single quotes, with quotes inside doubled, or `NULL`.
    pub parameters: Vec<String>,
}

/// Makes the server log every statement of the sessions in this database that start afterwards. This must be called
/// before the service starts. Sessions of the tests themselves are not logged. The view `pg_stat_statements` is not
/// used, because it needs an extension that is not installed everywhere, and does not contain parameters.
pub fn record(database: &OwnDatabase) {
    let name = database.name();
    database.execute(&format!("ALTER DATABASE {name} SET log_statement = 'all'"));
}

impl Statement {
    /// Returns whether the statement initializes a new connection or checks an idle one. Connections are opened in
    /// the background, so these statements may appear between those of a request, although no request causes them.
    pub fn is_of_the_connection(&self) -> bool {
        ["SELECT 1", "SET TIME ZONE 'UTC'", "SET CLIENT_ENCODING TO 'UTF8'"].contains(&&*self.text)
            || self.text.starts_with("SELECT current_setting('server_encoding')")
    }

    /// Returns whether PgBouncer sent the statement. When PgBouncer assigns a server connection to a client, it first
    /// applies the client's settings to that connection.
    pub fn is_of_the_pooler(&self) -> bool {
        self.text.starts_with("SET ") && self.text.ends_with("';")
    }
}

/// Returns the statements recorded so far, oldest first. The server logs each statement before it executes
/// it, so all statements of a request have been logged when its response arrives.
pub fn recorded(database: &OwnDatabase) -> Vec<Statement> {
    let marker = format!("<{}> ", database.name());
    let log = Cluster::get().log();
    let mut found: Vec<Statement> = Vec::new();
    for entry in entries(&log) {
        let Some((_, said)) = entry.split_once(&marker) else {
            continue;
        };
        if let Some(said) = said.strip_prefix("LOG:  ") {
            found.extend(statement(said));
        } else if let Some(said) = said.strip_prefix("DETAIL:  ")
            // The entry after a statement contains its parameters: `parameters: …`, or `Parameters: …` from
            // PostgreSQL 16 on.
            && let Some(parameters) = said.get(1..).and_then(|said| said.strip_prefix("arameters: "))
            && let Some(statement) = found.last_mut()
        {
            statement.parameters = values(parameters);
        }
    }
    found
}

/// Joins each entry with its continuation lines, which begin with a tab.
fn entries(log: &str) -> impl Iterator<Item = String> {
    let mut lines = log.lines().peekable();
    std::iter::from_fn(move || {
        let mut entry = lines.next()?.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
            entry.push('\n');
            entry.push_str(&more[1..]);
        }
        Some(entry)
    })
}

/// Parses `statement: SELECT …`, `execute s0: SELECT …` for a prepared statement with the name `s0`, or
/// `execute <unnamed>: SELECT …` for one without a name.
fn statement(said: &str) -> Option<Statement> {
    let (kind, text) = said.split_once(": ")?;
    (kind == "statement" || kind.starts_with("execute ")).then(|| Statement {
        text: text.to_owned(),
        prepared: kind.starts_with("execute ") && kind != "execute <unnamed>",
        parameters: Vec::new(),
    })
}

/// Parses the values of `$1 = 'x', $2 = NULL, $3 = 'it''s'`.
fn values(parameters: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = parameters;
    while let Some((_, value)) = rest.split_once(" = ") {
        // A comma separates two values unless it is inside quotes.
        let mut inside = false;
        let end = value.find(|c| {
            inside ^= c == '\'';
            c == ',' && !inside
        });
        let (value, after) = value.split_at(end.unwrap_or(value.len()));
        found.push(value.to_owned());
        rest = after;
    }
    found
}
