//! What PostgreSQL was asked to do by the service, read off the server's own log.

use super::database::OwnDatabase;
use super::postgres::Cluster;

/// Every statement in this database goes to the server's log from now on, for sessions that begin
/// after this: call it before the service starts. The view `pg_stat_statements` would need a
/// library that not every machine has, and does not tell databases of other tests apart as simply.
pub fn record(database: &OwnDatabase) {
    database.execute(&format!(
        "ALTER DATABASE {} SET log_statement = 'all'",
        database.name()
    ));
}

/// The recorded statements so far, oldest first. The server writes each before it runs it, so
/// whatever an answer rests on is there when the answer is.
pub fn recorded(database: &OwnDatabase) -> Vec<String> {
    let marker = format!("<{}> LOG:  ", database.name());
    let log = Cluster::get().log();
    let lines = log.lines().filter_map(|line| Some(line.split_once(&marker)?.1));
    let statements = lines.filter_map(|line| {
        // `statement: SELECT …`, or `execute __diesel_stmt_0: SELECT …` for a prepared one.
        let (kind, statement) = line.split_once(": ")?;
        (kind == "statement" || kind.starts_with("execute ")).then(|| statement.to_owned())
    });
    statements.collect()
}
