//! The HTTP machinery. It knows users and errors, and nothing of tasks.

pub mod access_log;
pub mod auth_guard;
pub mod caller;
pub mod contract;
pub mod cursor;
pub mod docs;
pub mod error;
pub mod etag;
pub mod health;
pub mod idempotency_key;
pub mod json_body;
pub mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod request_id;
pub mod response_body;
pub mod server;
