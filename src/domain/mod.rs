//! The domain types. Input is validated when it is parsed into one of these types, so other code need not validate it
//! again. This module must not depend on HTTP, tokens or databases.

mod ids;
mod list_query;
mod task;
mod text;
mod timestamp;
mod validation;

pub use ids::{TaskId, UserId};
pub use list_query::{ListQuery, Page, Position, Sort, Status};
pub use task::{NewTask, Task, TaskChanges};
pub use text::{Description, Title};
pub use timestamp::Timestamp;
pub use validation::{ErrorCode, FieldError, ValidationError, ValidationErrors};
