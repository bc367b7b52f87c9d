//! The backend of a multi-user todo application: JSON over HTTP, tasks in PostgreSQL or SQLite.
//!
//! A call goes `app` → `routes` → `api` → `auth` and `store` → `domain`; nothing points back.
//! `docs/ARCHITECTURE.md` follows one through.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod app;
pub mod auth;
pub mod config;
mod db;
pub mod domain;
pub mod logging;
pub mod metrics;
pub mod routes;
mod server;
pub mod store;
mod tls_roots;
mod wire;
