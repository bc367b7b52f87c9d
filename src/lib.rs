//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! A call goes `app` → `routes` → `api` → `auth` and `store` → `domain`; nothing points back.
//! `docs/ARCHITECTURE.md` follows one through.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// Linked by other crates, and named only so that they are built along with the service.
use libsqlite3_sys as _;
// The command line's, which is another crate.
use {clap as _, clap_complete as _};

pub mod api;
pub mod app;
pub mod auth;
pub mod config;
mod connection_limit;
mod connections;
pub mod db;
pub mod domain;
pub mod logging;
pub mod metrics;
mod quota;
pub mod routes;
mod server;
pub mod store;
mod tls_roots;
mod wire;
