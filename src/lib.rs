//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! `main` → `cli` → `app` → `routes` → `tasks` → `http` → `auth`, `store` → `db` → `domain`; nothing points back.
//! `docs/ARCHITECTURE.md` follows one through.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// Linked by other crates, and named only so that they are built along with the service.
use libsqlite3_sys as _;
// The command line's, which is another crate.
use {clap as _, clap_complete as _};

pub mod app;
pub mod auth;
pub mod config;
pub mod db;
pub mod domain;
pub mod http;
pub mod openapi;
mod quota;
pub mod routes;
pub mod store;
pub mod tasks;
pub mod telemetry;
mod tls_roots;
