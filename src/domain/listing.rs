//! Which tasks a client asks for, in which order, and from where on.

use super::TaskId;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    All,
    Pending,
    Completed,
}

impl Status {
    pub const NAMES: &str = "all, pending, completed";

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all" => Self::All,
            "pending" => Self::Pending,
            "completed" => Self::Completed,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Pending => "pending",
            Self::Completed => "completed",
        }
    }

    /// What `completed` has to be, where it matters.
    pub fn completed(self) -> Option<bool> {
        match self {
            Self::All => None,
            Self::Pending => Some(false),
            Self::Completed => Some(true),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Newest first.
    #[default]
    Created,
    /// As people read.
    Title,
    /// Soonest first, tasks without one last.
    DueDate,
}

impl Sort {
    pub const NAMES: &str = "created, title, due_date";

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created" => Self::Created,
            "title" => Self::Title,
            "due_date" => Self::DueDate,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Title => "title",
            Self::DueDate => "due_date",
        }
    }
}

/// A place in a sorted list: the sort key and the id of the task before it. Naming a place by what
/// stands there, and not by how many stand before it, is what keeps a walk right while others write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// As the database has it, and no other way to write the same: it is compared there, with what other
    /// programs may have written. None: no due date.
    pub key: Option<Vec<u8>>,
    pub id: TaskId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub limit: u16,
    pub after: Option<Position>,
}

impl Page {
    pub const MAX_LIMIT: u16 = 1_000;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub status: Status,
    pub sort: Sort,
    /// None: the whole list.
    pub page: Option<Page>,
}
