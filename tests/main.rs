//! Black-box tests, most of which run the real binary over HTTP on both databases. Some tests check the
//! source, the documents or the deployment files instead.
//!
//! `support` contains the harness. The name of every test states the expected behaviour.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot continue panics, and variables tell the harness which deployment to test"
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
mod tasks;
