//! Connections to PostgreSQL and SQLite, their pools, and the migrations. The queries are in [`crate::store`].

mod connection;
mod database;
pub mod error;
mod migrations;
mod postgres;
mod prepared;
mod session;
mod sqlite;
pub mod timestamp;

pub(crate) use self::connection::on_both;
pub use self::connection::{Access, Connection};
pub use self::database::{Database, DatabaseWorker};
pub use self::error::StoreError;
pub use self::postgres::PgConnection;
pub use self::prepared::Prepared;
pub(crate) use self::prepared::prepared;
pub use self::session::Session;
pub use self::sqlite::backup;
