//! HTTP, and only that: what comes in is parsed into the domain, what goes out is written from it.
//! Knows nothing of Diesel.

pub mod body;
mod chunks;
pub mod conditional;
pub mod contract;
pub mod docs;
pub mod envelope;
pub mod error;
pub mod guard;
pub mod health;
pub mod idempotency;
pub mod listing;
mod long_list;
pub mod openapi;
pub mod paging;
pub mod problem;
pub mod rate_limit;
pub mod tasks;
pub mod view;
