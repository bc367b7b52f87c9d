//! What is wrong with an input: every wrong field, not the first one only.

use serde::Serialize;

/// What kind of mistake a field has, for programs: a frontend shows its own words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not JSON that can be read.
    Json,
    /// The field is absent.
    Required,
    /// The field is null and may not be.
    Null,
    /// The value is of another JSON type, or a parameter is not a number.
    Type,
    Blank,
    TooLong,
    /// The text contains U+0000.
    Nul,
    /// The text is not written in the form that is expected.
    Format,
    /// The number is too small or too large.
    Range,
    /// The text is not one of the values that there are.
    Enum,
    /// The field, parameter or header is there more than once.
    Repeated,
    /// The cursor does not belong to this list.
    Cursor,
}

impl ErrorCode {
    pub const ALL: [Self; 12] = [
        Self::Json,
        Self::Required,
        Self::Null,
        Self::Type,
        Self::Blank,
        Self::TooLong,
        Self::Nul,
        Self::Format,
        Self::Range,
        Self::Enum,
        Self::Repeated,
        Self::Cursor,
    ];

    pub fn with(self, message: impl Into<String>) -> ValidationError {
        ValidationError {
            code: self,
            message: message.into(),
        }
    }
}

/// Why one value was refused. It does not know which field the value belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    pub code: ErrorCode,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub code: ErrorCode,
    pub message: String,
}

/// The wrong fields of one input. Collects while the input is read, and decides at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    pub fn one(field: &'static str, error: ValidationError) -> Self {
        let mut invalid = Self::default();
        invalid.add(field, error);
        invalid
    }

    pub fn add(&mut self, field: &'static str, error: ValidationError) {
        let ValidationError { code, message } = error;
        self.0.push(FieldError { field, code, message });
    }

    /// Keeps the value of a good field; notes a wrong one and goes on with nothing in its place.
    pub fn check<T>(&mut self, field: &'static str, outcome: Result<T, ValidationError>) -> Option<T> {
        outcome.map_err(|error| self.add(field, error)).ok()
    }

    /// The same for a field that need not be there.
    pub fn optional<T>(
        &mut self,
        field: &'static str,
        outcome: Option<Result<T, ValidationError>>,
    ) -> Option<T> {
        self.check(field, outcome?)
    }

    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}
