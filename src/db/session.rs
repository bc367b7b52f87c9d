//! One connection for a data command, without the limits that protect the service from its callers.

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
    /// Fails if the database does not exist. The session must stay on the thread and in the runtime that opened
    /// it.
    pub async fn open(config: &Config) -> Result<Self, StoreError> {
        match &config.database_url {
            DatabaseUrl::Postgres(url) => {
                let connector = Connector::new(url, config);
                let connection = connector.connect(Role::Work, 0).await;
                let connection = connection.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                Ok(Self::Postgres(Box::new(connection)))
            }
            DatabaseUrl::Sqlite(file) => sqlite::connect_to(file, config.statement_timeout)
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
    /// Removes the statement timeout for the current transaction. A `SET` without `LOCAL` would stay on a
    /// pooler's server connection, which other clients use next.
    pub async fn lift_statement_timeout(&mut self) -> QueryResult<()> {
        match self.is_sqlite() {
            true => Ok(()),
            false => self.batch("SET LOCAL statement_timeout = 0").await,
        }
    }
}
