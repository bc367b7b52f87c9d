//! Verifies tokens, and signs tokens for trying out the service. This module must not depend on HTTP requests, tasks or
//! the database.

mod algorithm;
mod claims;
mod jwks;
mod key_set;
mod refusal;
mod token;
mod verifier;

use std::ops::Deref;
use std::sync::Arc;

pub use refusal::Refusal;
pub use token::mint;
pub use verifier::Verifier;

use crate::domain::UserId;

/// The user of a verified token. Only this module creates values of this type, so code that has such a value may act
/// for the user.
#[derive(Clone, Debug)]
pub struct AuthenticatedUser {
    identity: Arc<Identity>,
}

#[derive(Debug)]
pub struct Identity {
    pub id: UserId,
    pub email: Option<String>,
    pub name: Option<String>,
    /// A hash of the email and the name, for code that only compares these claims. The hash is computed once per
    /// token and takes less memory than the claims.
    pub claims_hash: u64,
    /// The token's `iat` in seconds since 1970, if the token has one.
    pub issued_at: Option<f64>,
}

impl Deref for AuthenticatedUser {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}
