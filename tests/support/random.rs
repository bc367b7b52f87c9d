//! Random names, so that tests that share a database use different names.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns eight random hexadecimal digits.
pub fn suffix() -> String {
    format!("{:08x}", number() as u32)
}

/// Returns a random number. The standard library seeds its hash maps with random numbers of the operating system.
/// These are good enough for names, and need no further dependency.
pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
