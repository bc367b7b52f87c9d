//! What is wrong with an input: every wrong field, not the first one only.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

/// The wrong fields of one input. Collects while the input is read, and decides at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    pub fn one(field: &'static str, message: impl Into<String>) -> Self {
        let mut invalid = Self::default();
        invalid.add(field, message);
        invalid
    }

    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push(FieldError {
            field,
            message: message.into(),
        });
    }

    /// Keeps the value of a good field; notes a wrong one and goes on with nothing in its place.
    pub fn check<T>(&mut self, field: &'static str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|message| self.add(field, message)).ok()
    }

    /// The same for a field that need not be there.
    pub fn optional<T>(&mut self, field: &'static str, outcome: Option<Result<T, String>>) -> Option<T> {
        self.check(field, outcome?)
    }

    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}
