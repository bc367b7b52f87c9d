//! The title and the description of a task, and the sort key of a title.

use std::sync::LazyLock;

use icu_collator::options::CollatorOptions;
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};

use super::{ErrorCode, ValidationError};

/// The title of a task. It has 1 to 200 characters, is not blank and contains no NUL. It is stored exactly as it was
/// sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    pub const MAX_CHARS: usize = 200;

    /// The maximum length of a sort key. An index entry in PostgreSQL has at most 2,704 bytes, of which the user id may
    /// take 1,020. Longer keys are truncated, so titles whose keys differ only after this length are sorted by id.
    const MAX_KEY_BYTES: usize = 1_536;

    pub fn parse(text: String) -> Result<Self, ValidationError> {
        if text.trim().is_empty() {
            return Err(ErrorCode::Blank.with("must not be blank"));
        }
        check_text(text, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn sort_key(&self) -> Vec<u8> {
        Self::sort_key_of(&self.0)
    }

    /// Returns the sort key in the CLDR root collation. Databases compare the bytes of sort keys, so all of them sort
    /// titles in the same order, and new locale data on a server cannot corrupt an index.
    pub fn sort_key_of(text: &str) -> Vec<u8> {
        static COLLATOR: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the root collation is compiled in")]
            Collator::try_new(CollatorPreferences::default(), CollatorOptions::default())
                .expect("the root collation is compiled in")
        });
        let mut key = Vec::with_capacity(text.len() * 3);
        let Ok(()) = COLLATOR.write_sort_key_to(text, &mut key);
        key.truncate(Self::MAX_KEY_BYTES);
        key
    }
}

/// The description of a task. It has at most 1,000 characters and contains no NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    pub const MAX_CHARS: usize = 1_000;

    pub fn parse(text: String) -> Result<Self, ValidationError> {
        check_text(text, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_text(text: String, max: usize) -> Result<String, ValidationError> {
    if text.contains('\0') {
        // PostgreSQL cannot store NUL in a text.
        return Err(ErrorCode::Nul.with("must not contain a NUL character"));
    }
    // A text does not have more characters than bytes, so the characters of most texts need not be counted.
    if text.len() > max && text.chars().count() > max {
        return Err(ErrorCode::TooLong.with(format!("must have at most {max} characters")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_fits_an_index_entry() {
        // The collation expands U+FDFA to eighteen letters.
        let longest = Title::parse("\u{FDFA}".repeat(Title::MAX_CHARS)).unwrap();
        assert_eq!(longest.sort_key().len(), Title::MAX_KEY_BYTES);
    }
}
