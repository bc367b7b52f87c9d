//! What the service is about: values that were parsed once and are valid ever after.
//! Knows nothing of HTTP, tokens or databases.

mod ids;
mod invalid;
mod listing;
mod task;
mod text;
mod timestamp;

pub use ids::{TaskId, UserId};
pub use invalid::{ErrorCode, FieldError, Invalid, ValidationError};
pub use listing::{Listing, Page, Position, Sort, Status};
pub use task::{NewTask, Patch, Task, TaskChanges};
pub use text::{Description, Title};
pub use timestamp::Timestamp;
