//! The types for a task, a new task, and the changes to a task.

use super::{Description, TaskId, Timestamp, Title};

/// A stored task. The owner is not a field, because tasks are only read for a known owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: TaskId,
    pub title: String,
    pub description: Option<String>,
    pub completed: bool,
    pub due_date: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Incremented by every change of the task.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    pub title: Title,
    pub description: Option<Description>,
    pub completed: bool,
    pub due_date: Option<Timestamp>,
}

/// The change of a nullable field by a partial update. `None` keeps the value, and `Some(None)` clears it.
pub type Patch<T> = Option<Option<T>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskChanges {
    pub title: Option<Title>,
    pub description: Patch<Description>,
    pub completed: Option<bool>,
    pub due_date: Patch<Timestamp>,
}

impl TaskChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
