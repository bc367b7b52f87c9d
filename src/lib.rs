//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! No module depends on a module to its left:
//! `main` → `cli` → `app` → `routes` → `tasks` → `http` → `store` → `auth`, `db` → `domain`.
//! `docs/ARCHITECTURE.md` describes how a request passes through them.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// This dependency is needed only for its feature `bundled`, which compiles SQLite into the program.
use libsqlite3_sys as _;
// Only the binary uses these crates.
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
