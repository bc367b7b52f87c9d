//! A connection to PostgreSQL or SQLite, on which the same queries can be executed.

use diesel::QueryResult;
use diesel::connection::SimpleConnection as _;

use super::postgres::PgConnection;
use super::sqlite::SqliteHandle;

/// How a call uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The call changes nothing, waits for no row lock, and reads a bounded number of rows. On PostgreSQL, it is
    /// repeated if the connection is lost.
    Read,
    /// The call executes one statement that writes. It is not repeated if the connection is lost, because the
    /// statement may have been executed.
    Write,
    /// The call needs the connection exclusively, usually for a transaction. It must be safe to run the call twice:
    /// on PostgreSQL, it is repeated if the connection is lost.
    Transaction,
    /// The call reads a list as fast as the client receives it. It needs the connection exclusively. On PostgreSQL, it
    /// is repeated if the connection is lost, and then fails if it has sent a part of the list already.
    LongList,
}

impl Access {
    /// Whether the call may be repeated after its connection was lost.
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::Read | Self::LongList | Self::Transaction)
    }
}

pub enum Connection<'a> {
    Postgres(&'a PgConnection),
    Sqlite(&'a mut SqliteHandle),
}

/// Compiles a query for both databases, and executes it on the connected one. In the query, the type `Db` is
/// Diesel's backend.
///
/// Diesel's own solution, `MultiConnection`, is not used. It selects the backend while it builds a query, which
/// takes 2 to 4 µs per query. It is not asynchronous, and does not support `ON CONFLICT`.
macro_rules! on_both {
    ($connection:expr, |$inner:ident| $query:expr) => {
        match $connection {
            $crate::db::Connection::Postgres(connection) => {
                #[allow(unused_imports)]
                use diesel_async::RunQueryDsl as _;
                #[allow(dead_code)]
                type Db = diesel::pg::Pg;
                let connection: &$crate::db::PgConnection = connection;
                let mut client = &connection.client;
                let $inner = &mut client;
                connection.run_statement($query).await
            }
            $crate::db::Connection::Sqlite(connection) => {
                #[allow(unused_imports)]
                use diesel::RunQueryDsl as _;
                #[allow(dead_code)]
                type Db = diesel::sqlite::Sqlite;
                let $inner: &mut diesel::sqlite::SqliteConnection = &mut connection.inner;
                $query
            }
        }
    };
}
pub(crate) use on_both;

impl Connection<'_> {
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs `work` in a transaction. On SQLite, the transaction takes the write lock at its beginning. Otherwise a
    /// transaction that reads before it writes would fail if another process had written in between. The transaction
    /// of a batch of calls already has the write lock, so a savepoint is enough there.
    pub async fn transaction<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let statements = match self {
            // The queries are written for READ COMMITTED, but the server's default may be another isolation level.
            Self::Postgres(_) => ["BEGIN ISOLATION LEVEL READ COMMITTED", "COMMIT", "ROLLBACK"],
            Self::Sqlite(connection) if connection.is_in_batch => {
                ["SAVEPOINT call", "RELEASE call", "ROLLBACK TO call; RELEASE call"]
            }
            Self::Sqlite(_) => ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"],
        };
        self.run_transaction(statements, work).await
    }

    /// Runs `work`, whose reads all see the same state of the database.
    pub async fn snapshot<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = match self.is_sqlite() {
            true => "BEGIN",
            false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.run_transaction([begin, "COMMIT", "ROLLBACK"], work).await
    }

    /// Runs `work` after `begin`, and commits or rolls back. If the rollback fails on PostgreSQL, the connection is not
    /// used again, because the transaction may still be open.
    async fn run_transaction<T, E: From<diesel::result::Error>>(
        &mut self,
        [begin, commit, rollback]: [&str; 3],
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch_execute(begin).await?;
        let outcome = match work(self).await {
            Ok(value) => self.batch_execute(commit).await.map(|()| value).map_err(E::from),
            Err(error) => Err(error),
        };
        // On SQLite, the rollback fails only if an error has ended the transaction already.
        if outcome.is_err()
            && !self.is_closed()
            && self.batch_execute(rollback).await.is_err()
            && let Self::Postgres(connection) = self
        {
            connection.close();
        }
        outcome
    }

    fn is_closed(&self) -> bool {
        matches!(self, Self::Postgres(connection) if connection.is_closed())
    }

    pub async fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        match self {
            Self::Postgres(connection) => connection.batch_execute(sql).await,
            Self::Sqlite(connection) => connection.inner.batch_execute(sql),
        }
    }
}
