//! The ids of users and tasks.

use std::fmt;
use std::sync::Arc;

/// The id of a user, as the identity provider assigns it: a string of 1 to 255 characters that is not blank and
/// contains no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    pub const MAX_CHARS: usize = 255;

    pub fn parse(text: &str) -> Option<Self> {
        let is_short_enough = text.chars().count() <= Self::MAX_CHARS;
        let is_valid = !text.trim().is_empty() && is_short_enough && !text.contains('\0');
        is_valid.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a task: a positive integer that JavaScript can represent exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub i64);

impl TaskId {
    /// 2^53 - 1, which is `Number.MAX_SAFE_INTEGER` in JavaScript.
    pub const MAX: i64 = (1 << 53) - 1;

    /// Parses the format that the service itself writes, such as `7`. `+7` and `07` are refused, because a task would
    /// otherwise have several URLs.
    pub fn parse(text: &str) -> Option<Self> {
        let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let id = text.parse().ok().filter(|_| is_canonical)?;
        (id <= Self::MAX).then_some(Self(id))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
