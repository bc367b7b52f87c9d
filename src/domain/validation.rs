//! The validation errors of an input. All invalid fields are reported, not only the first one.

use serde::Serialize;

/// The kind of a validation error. A client can use the code to show a message in another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not valid JSON, or a string in the body contains an invalid escape.
    Json,
    /// The field is absent.
    Required,
    /// The field is null, although null is not allowed.
    Null,
    /// The value has the wrong JSON type, or the parameter is not a whole number.
    Type,
    Blank,
    TooLong,
    /// The text contains U+0000.
    Nul,
    /// The text does not have the expected format.
    Format,
    /// The number or the time is outside the allowed range.
    Range,
    /// The text is not one of the allowed values.
    Enum,
    /// The field, parameter or header is given more than once.
    Repeated,
    /// The cursor was not issued for this list, or `limit` is missing or invalid.
    Cursor,
}

impl ErrorCode {
    pub fn with(self, message: impl Into<String>) -> ValidationError {
        ValidationError {
            code: self,
            message: message.into(),
        }
    }
}

/// The reason why a value is invalid. It does not name the field, which the caller knows.
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

/// Collects the errors of an input while its fields are parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationErrors(pub Vec<FieldError>);

impl ValidationErrors {
    pub fn from_error(field: &'static str, error: ValidationError) -> Self {
        let mut errors = Self::default();
        errors.add(field, error);
        errors
    }

    pub fn add(&mut self, field: &'static str, error: ValidationError) {
        let ValidationError { code, message } = error;
        self.0.push(FieldError { field, code, message });
    }

    /// Parses the value of a member, parameter or header. Returns `None` if the value is absent. If it is invalid,
    /// records the error and also returns `None`. Repeated values are invalid, because it is ambiguous which of them
    /// counts.
    pub fn parse<V, T>(
        &mut self,
        field: &'static str,
        mut values: impl Iterator<Item = V>,
        parse: impl FnOnce(V) -> Result<T, ValidationError>,
    ) -> Option<T> {
        let value = values.next()?;
        let result = match values.next() {
            None => parse(value),
            Some(_) => Err(ErrorCode::Repeated.with("must be given once")),
        };
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// Returns the value if no error has been recorded.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}
