//! Tokens of a real Better Auth, in the modes in which frontends use it.
//!
//! The issuer is `tests/node/issuer.mjs`. An `Issuer` starts it, and a `Session` is a user who is signed in
//! there.

mod emails;
pub mod issuer;
pub mod node;

mod outages;
mod refused;
mod shared_database;
mod tokens;
