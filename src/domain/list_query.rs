//! The parameters of a list: filter, order and page.

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::TaskId;

/// The variants have the same names as the values of the parameter `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    #[default]
    All,
    Pending,
    Completed,
}

impl Status {
    /// Returns the value that `completed` must have, or `None` for any value.
    pub fn completed(self) -> Option<bool> {
        match self {
            Self::All => None,
            Self::Pending => Some(false),
            Self::Completed => Some(true),
        }
    }
}

/// The variants have the same names as the values of the parameter `sort`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Sort {
    /// Newest first.
    #[default]
    Created,
    /// Alphabetical, by the CLDR root collation.
    Title,
    /// Earliest first, followed by the tasks without a due date.
    DueDate,
}

/// A position in a sorted list: the sort key and the id of the task before the position. It is used instead of an
/// offset, which would skip or repeat tasks if others are inserted or deleted between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The sort key as the database stores it. It is not parsed, because the database compares it with stored values,
    /// which other programs may have written in other formats. `None` means that the task has no due date.
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
pub struct ListQuery {
    pub status: Status,
    pub sort: Sort,
    /// `None` means the whole list.
    pub page: Option<Page>,
}
