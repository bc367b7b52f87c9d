//! A database for one test, and direct access to it. PostgreSQL does not log the statements of this direct access,
//! so that its log contains only the statements of the service.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use postgres::SimpleQueryMessage;
use tempfile::TempDir;

use super::cluster::{self, Cluster};
use super::random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// The database of one test. A database that the test created is deleted when this value is dropped.
pub struct OwnDatabase {
    pub kind: Database,
    pub url: String,
    place: Place,
}

enum Place {
    /// The folder of the SQLite file. It is deleted when this value is dropped.
    Sqlite(TempDir),
    /// The name of a database on the shared server.
    Postgres(String),
    /// The port of a server that belongs to one test. The server is deleted with all its databases when the test ends.
    OwnServer(u16),
    /// The database of the deployment under test, which is never dropped.
    Deployment,
}

/// The password in the URLs with which the service connects to PostgreSQL in most tests. It must not appear in any
/// log.
pub const DATABASE_PASSWORD: &str = "pa55word-of-the-database";

pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(Box<postgres::Client>),
}

impl OwnDatabase {
    pub fn create(kind: Database) -> Self {
        match kind {
            Database::Sqlite => Self::sqlite_in(tempfile::tempdir().unwrap()),
            Database::Postgres => Self::postgres_with(""),
        }
    }

    /// Creates a PostgreSQL database with these options of `CREATE DATABASE`.
    pub fn postgres_with(options: &str) -> Self {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("t_{}_{number}_{}", std::process::id(), random::suffix());
        let cluster = Cluster::get();
        cluster
            .connect("postgres")
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .unwrap();
        Self {
            kind: Database::Postgres,
            url: cluster.url(&name, DATABASE_PASSWORD),
            place: Place::Postgres(name),
        }
    }

    /// Uses a SQLite file in this folder. The folder is deleted when the returned value is dropped.
    pub fn sqlite_in(folder: TempDir) -> Self {
        Self {
            kind: Database::Sqlite,
            url: format!("sqlite://{}/todo.db", folder.path().display()),
            place: Place::Sqlite(folder),
        }
    }

    /// Uses the database `postgres` of a server that belongs to one test. `url` is the URL that the service uses. It
    /// may lead through a pooler.
    pub fn of_server(url: String, port: u16) -> Self {
        Self {
            kind: Database::Postgres,
            url,
            place: Place::OwnServer(port),
        }
    }

    pub fn of_deployment(url: String) -> Self {
        Self {
            kind: Database::Postgres,
            url,
            place: Place::Deployment,
        }
    }

    /// Returns the name of the PostgreSQL database.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Postgres(name) => name,
            Place::OwnServer(_) => "postgres",
            Place::Sqlite(_) => panic!("a SQLite database has no name"),
            Place::Deployment => panic!("only the URL of a deployment's database is known"),
        }
    }

    /// Returns the URL for direct access. On a server that the tests started, it bypasses poolers, and the
    /// statements of its sessions are not logged.
    pub fn back_door(&self) -> String {
        match &self.place {
            Place::Postgres(name) => cluster::back_door(Cluster::get().port, name),
            Place::OwnServer(port) => cluster::back_door(*port, self.name()),
            Place::Sqlite(_) | Place::Deployment => self.url.clone(),
        }
    }

    /// Takes a lock that blocks every write of tasks and users, and on PostgreSQL also every read of them, until
    /// the returned connection is dropped.
    pub fn lock(&self) -> Connection {
        let mut connection = self.connect();
        connection.execute(match self.kind {
            Database::Postgres => "BEGIN; LOCK TABLE tasks, users IN ACCESS EXCLUSIVE MODE",
            Database::Sqlite => "BEGIN EXCLUSIVE",
        });
        connection
    }

    pub fn connect(&self) -> Connection {
        match &self.place {
            Place::Postgres(_) | Place::OwnServer(_) | Place::Deployment => {
                let connection = cluster::connect_to(&self.back_door());
                Connection::Postgres(Box::new(
                    connection.expect("the test's PostgreSQL should accept connections"),
                ))
            }
            Place::Sqlite(folder) => {
                let path = folder.path().join("todo.db");
                let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                connection
                    .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON")
                    .unwrap();
                Connection::Sqlite(connection)
            }
        }
    }

    /// Executes statements directly in the database, as another program would.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.connect().execute(sql);
    }

    /// Returns the values of the only column of a query as text. `None` is NULL.
    #[track_caller]
    pub fn values(&self, sql: &str) -> Vec<Option<String>> {
        self.connect().values(sql)
    }

    /// Returns the value of the only column of the only row of a query. `None` is NULL.
    #[track_caller]
    pub fn value(&self, sql: &str) -> Option<String> {
        let mut values = self.values(sql);
        assert_eq!(values.len(), 1, "{sql}: one row expected, got {values:?}");
        values.remove(0)
    }
}

impl Connection {
    #[track_caller]
    pub fn execute(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection
                .batch_execute(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            Self::Postgres(connection) => connection
                .batch_execute(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error:?}")),
        }
    }

    #[track_caller]
    pub fn values(&mut self, sql: &str) -> Vec<Option<String>> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Text>)]
            value: Option<String>,
        }

        let query = format!("WITH q(value) AS ({sql}) SELECT CAST(value AS TEXT) AS value FROM q");
        match self {
            Self::Sqlite(connection) => {
                let rows: QueryResult<Vec<Row>> = diesel::sql_query(query).load(connection);
                let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
                rows.into_iter().map(|row| row.value).collect()
            }
            Self::Postgres(connection) => {
                let messages = connection.simple_query(&query);
                let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let rows = messages.into_iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
                    _ => None,
                });
                rows.collect()
            }
        }
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if let Place::Postgres(name) = &self.place {
            // The result is ignored, because a panic here would hide the failure of the test.
            let _ = Cluster::get()
                .connect("postgres")
                .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}
