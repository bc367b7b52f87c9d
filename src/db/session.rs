//! A single connection without a pool, for the commands that read or change stored data.

use diesel::QueryResult;

use super::connection::Connection;
use super::error::StoreError;
use super::postgres::Connector;
use super::postgres::{PgConnection, Role};
use super::sqlite::{self, SqliteHandle};
use crate::config::{Config, DatabaseUrl};

pub enum Session {
    Postgres(Box<PgConnection>),
    Sqlite(SqliteHandle),
}

impl Session {
    /// Fails if the database does not exist. The session must be used on the thread and in the runtime in which
    /// it was opened.
    pub async fn open(config: &Config) -> Result<Self, StoreError> {
        match &config.database_url {
            DatabaseUrl::Postgres(url) => {
                let connector = Connector::new(url, config);
                let connection = connector.connect(Role::Work, 0).await;
                let connection = connection.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                Ok(Self::Postgres(Box::new(connection)))
            }
            DatabaseUrl::Sqlite(file) => sqlite::open_existing(file, config.statement_timeout)
                .map(Self::Sqlite)
                .map_err(StoreError::Unavailable),
        }
    }

    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(connection) => Connection::Postgres(connection),
            Self::Sqlite(handle) => Connection::Sqlite(handle),
        }
    }
}

impl Connection<'_> {
    /// Disables PostgreSQL's statement timeout until the end of the current transaction. Behind a pooler, the
    /// effect of a `SET` without `LOCAL` would stay on the server connection, which other clients use next.
    pub async fn disable_statement_timeout(&mut self) -> QueryResult<()> {
        match self.is_sqlite() {
            true => Ok(()),
            false => self.batch_execute("SET LOCAL statement_timeout = 0").await,
        }
    }
}
