//! What PostgreSQL was asked to do by the service, read off the server's own log.

use super::cluster::Cluster;
use super::database::OwnDatabase;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    /// Under a name: it was parsed before, and one message is enough to run it.
    pub prepared: bool,
    /// As the log writes them: `'x'`, with quotes inside doubled, or `NULL`.
    pub parameters: Vec<String>,
}

/// Every statement in this database goes to the server's log from now on, for sessions that begin
/// after this: call it before the service starts. The view `pg_stat_statements` would need a
/// library that not every machine has, and does not tell databases of other tests apart as simply.
/// The tests' own sessions are left out.
pub fn record(database: &OwnDatabase) {
    let name = database.name();
    database.execute(&format!("ALTER DATABASE {name} SET log_statement = 'all'"));
}

impl Statement {
    /// Of a connection and of no call: it is opened, or is asked after a pause whether it lives. Connections are
    /// opened in the background, so that this may come between a call's statements.
    pub fn is_of_the_connection(&self) -> bool {
        ["SELECT 1", "SET TIME ZONE 'UTC'", "SET CLIENT_ENCODING TO 'UTF8'"].contains(&&*self.text)
            || self.text.starts_with("SELECT current_setting('server_encoding')")
    }
}

/// The recorded statements so far, oldest first. The server writes each before it runs it, so
/// whatever an answer rests on is there when the answer is.
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
            // `parameters: …`, and with a capital from PostgreSQL 16 on; below the statement they are of.
            && let Some(parameters) = said.get(1..).and_then(|said| said.strip_prefix("arameters: "))
            && let Some(statement) = found.last_mut()
        {
            statement.parameters = values(parameters);
        }
    }
    found
}

/// An entry goes on over the lines that begin with a tab.
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

/// `statement: SELECT …`, or `execute __diesel_stmt_0: SELECT …` for one with parameters.
fn statement(said: &str) -> Option<Statement> {
    let (kind, text) = said.split_once(": ")?;
    (kind == "statement" || kind.starts_with("execute ")).then(|| Statement {
        text: text.to_owned(),
        prepared: kind.starts_with("execute ") && kind != "execute <unnamed>",
        parameters: Vec::new(),
    })
}

/// The values in `$1 = 'x', $2 = NULL, $3 = 'it''s'`.
fn values(parameters: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = parameters;
    while let Some((_, value)) = rest.split_once(" = ") {
        // A comma counts where every quote before it is closed.
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
