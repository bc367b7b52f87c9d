//! Tokens of a real Better Auth, in every mode in which frontends run it.
//!
//! `tests/node/issuer.mjs` is the issuer; `Issuer` starts it, and `Session` is somebody signed in there.

mod emails;
pub mod issuer;
pub mod node;

mod outages;
mod refused;
mod shared_database;
mod tokens;
