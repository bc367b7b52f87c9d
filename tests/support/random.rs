//! Random names, so that two tests never use the same name in one database.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns eight random hexadecimal digits.
pub fn suffix() -> String {
    format!("{:08x}", number() as u32)
}

/// The standard library seeds its hash maps from the operating system, which is random enough for names and
/// needs no further dependency.
pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
