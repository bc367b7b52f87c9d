//! A task, and the two ways to write one.

use super::{Description, TaskId, Timestamp, Title};

/// A task as it is kept. Whose it is, is not in it: it was read through its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: TaskId,
    pub title: String,
    pub description: Option<String>,
    pub completed: bool,
    pub due_date: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every change.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    pub title: Title,
    pub description: Option<Description>,
    pub completed: bool,
    pub due_date: Option<Timestamp>,
}

/// What a partial update says of a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

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
