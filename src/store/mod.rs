//! Where the tasks are kept: the queries. Knows nothing of HTTP.
//!
//! Outside of here, [`OwnedTasks`] is the only way to a task, and it is made from a verified user.

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
pub use tasks::{Condition, Listed, OwnedTasks, Portion, Written};
pub use users::KnownUsers;
