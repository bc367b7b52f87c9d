//! Where the tasks are kept: the only place that knows Diesel. Knows nothing of HTTP.
//!
//! Outside of here, [`OwnedTasks`] is the only way to a task; it comes from an [`Owner`], and that from a
//! verified user.

mod connection;
mod database;
mod error;
mod idempotency;
mod manager;
mod migrate;
mod moment;
mod owner;
mod pooler;
mod prepared;
mod queue;
mod schema;
mod tasks;
mod users;

pub use connection::check_url;
pub use database::Database;
pub use error::StoreError;
pub use idempotency::{Created, IdempotencyKey};
pub use owner::Owner;
pub use tasks::{Condition, Listed, OwnedTasks, TaskSink, Written};
