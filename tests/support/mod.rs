//! The test harness: servers, databases, clients and checks that apply to every response.
//!
//! A test starts a [`TestApp`], sends requests through an [`Actor`] and inspects the [`Response`]. A test that
//! cannot run against every deployment begins with one of the macros of [`deployment`].

#[macro_use]
pub mod deployment;

pub mod actor;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod contract;
pub mod database;
pub mod own_postgres;
pub mod pgbouncer;
pub mod problem;
pub mod process;
pub mod python;
pub mod random;
pub mod raw;
pub mod response;
pub mod statements;
pub mod stop_flag;
pub mod task;
pub mod token;
pub mod wait;

pub use actor::Actor;
pub use app::TestApp;
pub use contract::{CONTRACTS, Contract};
pub use database::Database::{self, Postgres, Sqlite};
pub use database::OwnDatabase;
pub use response::Response;
