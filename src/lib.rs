//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! The dependencies between the modules have no cycles:
//! `main` → `cli` → `app` → `routes` → `tasks` → `http` → `auth`, `store` → `db` → `domain`.
//! `docs/ARCHITECTURE.md` follows a request through them.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// A dependency only for its feature `bundled`, which builds SQLite.
use libsqlite3_sys as _;
// Only the binary uses these.
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
