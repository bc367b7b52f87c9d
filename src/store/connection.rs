//! A connection to either database, and how it is made.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{CacheSize, Connection as _, SimpleConnection};
use diesel::prelude::*;

use super::pooler::Pooler;
use crate::config::{DatabaseUrl, may_hold_a_secret};

/// Runs the same query on whichever database is behind a connection. The text stands once and is
/// compiled for each: `diesel::MultiConnection` does the same at run time, for 2 to 4 µs a query, and
/// without `ON CONFLICT`, loading row by row, or statements that are found by their type. Inside, `Db`
/// is the backend.
macro_rules! on_both {
    ($connection:expr, |$inner:ident| $query:expr) => {
        match &mut $connection.inner {
            $crate::store::connection::Inner::Postgres($inner) => {
                #[allow(dead_code)]
                type Db = diesel::pg::Pg;
                $query
            }
            $crate::store::connection::Inner::Sqlite($inner) => {
                #[allow(dead_code)]
                type Db = diesel::sqlite::Sqlite;
                $query
            }
        }
    };
}
pub(super) use on_both;

pub(super) enum Inner {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

pub(super) struct Connection {
    pub inner: Inner,
    /// When the last job on it ended.
    pub last_used: Instant,
    /// Not to be used again.
    pub broken: bool,
    /// Its statements are prepared under names.
    pub prepares: bool,
    /// How many connections had been lost when this one was last known to live.
    pub losses_seen: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ConnectError(String);

impl From<ConnectionError> for ConnectError {
    fn from(error: ConnectionError) -> Self {
        Self(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl From<diesel::result::Error> for ConnectError {
    fn from(error: diesel::result::Error) -> Self {
        Self(super::error::describe(&error))
    }
}

impl Connection {
    pub fn sqlite(file: &Path, busy_timeout: Duration) -> Result<Self, ConnectError> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| ConnectError(format!("{} cannot be made: {error}", folder.display())))?;
        }
        let mut conn = SqliteConnection::establish(&file.to_string_lossy())?;
        // FULL: what is committed is on the disk before the client hears of it.
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864;",
            // So much less than what a client waits, that it hears of it.
            (busy_timeout * 4 / 5).as_millis()
        ))?;
        Ok(Self::new(Inner::Sqlite(conn)))
    }

    pub fn postgres(url: &str, timeouts: Timeouts, pooler: &Pooler) -> Result<Self, ConnectError> {
        let mut direct = None;
        if !pooler.found() {
            match PgConnection::establish(&timeouts.added_to(url, true)) {
                Ok(mut conn) => {
                    pooler.check_parameter(&mut conn, timeouts.statement)?;
                    direct = Some(conn);
                }
                Err(error) if pooler.refused_parameter(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut conn = match direct {
            Some(conn) => conn,
            None => PgConnection::establish(&timeouts.added_to(url, false))?,
        };
        if pooler.found() {
            pooler.examine(&mut conn)?;
        }
        let prepares = pooler.may_prepare();
        if !prepares {
            conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        }
        Ok(Self {
            prepares,
            losses_seen: pooler.losses(),
            ..Self::new(Inner::Postgres(conn))
        })
    }

    fn new(inner: Inner) -> Self {
        Self {
            inner,
            last_used: Instant::now(),
            broken: false,
            prepares: true,
            losses_seen: 0,
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.inner, Inner::Sqlite(_))
    }

    /// All or nothing. Takes SQLite's write lock at once: a transaction that reads first and writes then
    /// would fail instead of waiting when another process writes.
    pub fn transaction<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch(if self.is_sqlite() {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN"
        })?;
        let outcome = work(self).and_then(|value| {
            self.batch("COMMIT")?;
            Ok(value)
        });
        if outcome.is_err() && self.batch("ROLLBACK").is_err() {
            self.broken = true;
        }
        outcome
    }

    pub fn batch(&mut self, sql: &str) -> QueryResult<()> {
        on_both!(self, |conn| conn.batch_execute(sql))
    }
}

/// What libpq cannot read is found by itself, in an attempt to connect to nowhere: a service that started
/// with it would wait for a database for ever.
pub fn check_url(url: &DatabaseUrl) -> Result<(), String> {
    const NOWHERE: &str = "/nowhere";
    let DatabaseUrl::Postgres(url) = url else {
        return Ok(());
    };
    let parameters = format!("host={NOWHERE}&hostaddr=&port=");
    let Err(ConnectionError::BadConnection(problem)) =
        PgConnection::establish(&with_parameters(url, &parameters))
    else {
        return Ok(());
    };
    let problem = problem.trim();
    if problem.contains(NOWHERE) {
        return Ok(());
    }
    // Of what is no value of a known parameter it quotes a part, which may be the password's.
    let of_a_value = problem.starts_with("weak sslmode")
        || (problem.starts_with("invalid ") && problem.contains(" value: "))
        || (problem.starts_with("invalid URI query parameter") && !may_hold_a_secret(url));
    let problem = match of_a_value {
        true => problem,
        false => "percent-encode special characters in it, and look at its parameters",
    };
    Err(format!("DATABASE_URL: libpq cannot read it: {problem}"))
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub connect: Duration,
    pub statement: Duration,
}

impl Timeouts {
    /// As libpq's parameters, where the URL does not set them itself. The statement timeout is the
    /// server's, and a pooler may refuse it. A `SET` would do as well on a connection of our own, but
    /// behind a pooler it would stay behind on a server that others use next.
    fn added_to(self, url: &str, statement_timeout: bool) -> String {
        let statement = self.statement.as_millis();
        let mut url = match statement_timeout {
            true => with_option(url, &format!("-c%20statement_timeout%3D{statement}")),
            false => url.to_string(),
        };
        let mut add = |name: &str, value: String| {
            if !url.contains(&format!("{name}=")) {
                url = with_parameters(&url, &format!("{name}={value}"));
            }
        };
        add("connect_timeout", self.connect.as_secs().max(2).to_string());
        add("application_name", "todo-backend".into());
        // A peer that vanished without a word (a moved compute, a forgotten NAT entry) is noticed soon,
        // whether it owes us an acknowledgement or an answer.
        add("tcp_user_timeout", (statement + 1_000).to_string());
        add("keepalives_idle", "5".into());
        add("keepalives_interval", "2".into());
        add("keepalives_count", "3".into());
        url
    }
}

/// Options that the URL has already stay.
fn with_option(url: &str, option: &str) -> String {
    match url.split_once("options=") {
        Some((before, rest)) => {
            let (theirs, after) = rest.split_at(rest.find('&').unwrap_or(rest.len()));
            format!("{before}options={theirs}%20{option}{after}")
        }
        None => with_parameters(url, &format!("options={option}")),
    }
}

fn with_parameters(url: &str, parameters: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{parameters}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use diesel::dsl::sql;
    use diesel::prelude::*;
    use diesel::sql_types::Integer;

    use super::{Connection, Inner, check_url, with_option};
    use crate::config::DatabaseUrl;

    #[test]
    fn sqlite_commits_to_the_disk_and_minds_its_foreign_keys() {
        let folder = tempfile::tempdir().unwrap();
        let made = Connection::sqlite(&folder.path().join("todo.db"), Duration::from_secs(1)).unwrap();
        let Inner::Sqlite(mut conn) = made.inner else {
            unreachable!("a file is SQLite's");
        };
        for (pragma, expected) in [("synchronous", 2), ("foreign_keys", 1)] {
            let query = sql::<Integer>(&format!("SELECT {pragma} FROM pragma_{pragma}"));
            assert_eq!(query.get_result(&mut conn), Ok(expected), "{pragma}");
        }
    }

    #[test]
    fn what_libpq_cannot_read_is_said_without_the_password() {
        for url in [
            "postgres://h/d?password=a&hunter2",
            "postgres://h/d?password=a&hunter2=b",
            "postgres://u:a%zzhunter2@h/d",
            "postgres://u:hunter 2@h/d",
            "postgres://h/d?scram_client_key=hunter2",
        ] {
            let problem = check_url(&DatabaseUrl::Postgres(url.into())).unwrap_err();
            assert!(!problem.contains("hunter"), "{problem}");
        }
        for good in ["postgres://a,b:5433/d?sslmode=require", "postgres:///d?host=/run"] {
            assert_eq!(check_url(&DatabaseUrl::Postgres(good.into())), Ok(()), "{good}");
        }
    }

    #[test]
    fn options_of_the_url_stay_beside_ours() {
        for (url, whole) in [
            ("postgres://h/d", "postgres://h/d?options=X"),
            (
                "postgres://h/d?sslmode=require",
                "postgres://h/d?sslmode=require&options=X",
            ),
            (
                "postgres://h/d?options=-cA&b=c",
                "postgres://h/d?options=-cA%20X&b=c",
            ),
        ] {
            assert_eq!(with_option(url, "X"), whole);
        }
    }
}
