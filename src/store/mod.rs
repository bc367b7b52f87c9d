//! The queries of the tables. This module does not depend on HTTP.
//!
//! The code that serves requests reaches the tasks only through [`OwnedTasks`], which can only be created for a
//! user whom the authentication guard has verified. The operator's commands use [`operator`].

mod idempotency;
pub mod operator;
mod owner;
mod prelude;
mod schema;
mod tasks;
mod users;

pub use crate::db::{Database, StoreError};
pub use idempotency::IdempotencyKey;
pub use owner::{Owner, Store};
pub use tasks::{Condition, OwnedTasks, Written};
pub use users::KnownUsers;
