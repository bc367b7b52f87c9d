//! The queries. This module knows nothing of HTTP.
//!
//! Outside of it, [`OwnedTasks`] is the only way to a task, and it can be made only from a verified user.

mod idempotency;
pub mod operator;
mod owner;
mod prelude;
mod schema;
mod tasks;
mod users;

pub use crate::db::{Database, DatabaseWorker, StoreError};
pub use idempotency::{Created, IdempotencyKey};
pub use owner::{Owner, Store};
pub use tasks::{Condition, Listed, LongListPart, OwnedTasks, Written};
pub use users::KnownUsers;
