//! The service as its callers see it: the real binary, over HTTP, on both databases.
//!
//! The tree mirrors the URLs. `support` has the harness; every case says in its name what holds.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, and the harness is told by variables where to go"
)]

#[macro_use]
mod support;

mod architecture;
mod auth;
mod better_auth;
mod cli;
mod collation;
mod conditional;
mod config;
mod cors;
mod deploy;
mod deployments;
mod docs;
mod durability;
mod embedded;
mod errors;
mod frontend;
mod fuzz;
mod http;
mod https_issuer;
mod idempotency;
mod instructions;
mod isolation;
mod large_lists;
mod migrations;
mod observability;
mod openapi;
mod paging;
mod rate_limit;
mod requirements;
mod resilience;
mod schema;
mod schemathesis;
mod supply_chain;
mod tasks;
