//! Random names, so that no two tests meet in one database.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Eight letters and digits that nobody else has.
pub fn suffix() -> String {
    format!("{:08x}", number() as u32)
}

/// The standard library seeds its hash maps from the operating system: random enough for names, and
/// no further dependency.
pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
