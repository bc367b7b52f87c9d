//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! No module depends on a module to its left:
//! `main` → `cli` → `app` → `routes` → `tasks` → `http` → `store` → `auth`, `db` → `domain`.
//! `docs/ARCHITECTURE.md` describes how a request passes through them.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// This dependency is needed only for its feature `bundled`, which compiles SQLite into the program.
use libsqlite3_sys as _;

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
mod db;
mod domain;
mod http;
mod openapi;
mod quota;
mod routes;
pub mod store;
mod tasks;
mod telemetry;
mod tls_roots;
