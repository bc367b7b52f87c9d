//! A connection to either database, as queries see it.

use diesel::QueryResult;
use diesel::connection::SimpleConnection as _;

use super::postgres::PgConnection;
use super::sqlite::SqliteHandle;

/// How a call uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Changes nothing, waits for no row lock, and returns a bounded number of rows. It is repeated when its
    /// connection is lost.
    Read,
    /// One statement that may have taken place when its connection is lost, so it is never repeated.
    Write,
    /// Several statements that find out by themselves whether they have taken place before. They are repeated
    /// when their connection is lost.
    Transaction,
    /// Reads at the pace of the client.
    LongList,
}

impl Access {
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::Read | Self::Transaction)
    }
}

pub enum Connection<'a> {
    Postgres(&'a PgConnection),
    Sqlite(&'a mut SqliteHandle),
}

/// Compiles a query for both databases and runs it on the one that is connected. Inside, `Db` is the backend.
/// `diesel::MultiConnection` decides at run time, which takes 2 to 4 µs per query, and it is neither
/// asynchronous nor does it have `ON CONFLICT`.
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
                connection.statement($query).await
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

    /// Runs `work` in a transaction. On SQLite it takes the write lock at once: a transaction that first reads
    /// and then writes would fail if another process writes in between.
    pub async fn transaction<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // The isolation level that all queries are written for, whatever the server's default is.
        let begin = match self.is_sqlite() {
            true => "BEGIN IMMEDIATE",
            false => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        self.enclosed(begin, work).await
    }

    /// Runs reads that all see the same state of the database.
    pub async fn snapshot<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = match self.is_sqlite() {
            true => "BEGIN",
            false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.enclosed(begin, work).await
    }

    async fn enclosed<T, E: From<diesel::result::Error>>(
        &mut self,
        begin: &str,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch(begin).await?;
        let outcome = match work(self).await {
            Ok(value) => self.batch("COMMIT").await.map(|()| value).map_err(E::from),
            Err(error) => Err(error),
        };
        if outcome.is_err() && !self.is_closed() && self.batch("ROLLBACK").await.is_err() {
            match self {
                Self::Postgres(connection) => connection.close(),
                Self::Sqlite(connection) => connection.broken = true,
            }
        }
        outcome
    }

    fn is_closed(&self) -> bool {
        matches!(self, Self::Postgres(connection) if connection.is_closed())
    }

    pub async fn batch(&mut self, sql: &str) -> QueryResult<()> {
        match self {
            Self::Postgres(connection) => connection.batch(sql).await,
            Self::Sqlite(connection) => connection.inner.batch_execute(sql),
        }
    }
}
