//! Verifies tokens, and signs tokens for trying out the service. This module must not depend on HTTP requests, tasks or
//! the database.

mod algorithm;
mod claims;
mod jwks;
mod key_set;
mod refusal;
mod token;
mod verifier;

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
struct Identity {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
    claims_hash: u64,
    issued_at: Option<f64>,
}

impl AuthenticatedUser {
    pub fn id(&self) -> &UserId {
        &self.identity.id
    }

    pub fn email(&self) -> Option<&str> {
        self.identity.email.as_deref()
    }

    pub fn name(&self) -> Option<&str> {
        self.identity.name.as_deref()
    }

    /// A hash of the email and the name. It is computed once per token, and takes less memory than the claims themselves
    /// where they are only compared.
    pub fn claims_hash(&self) -> u64 {
        self.identity.claims_hash
    }

    /// The token's `iat` in seconds since 1970, if the token has one.
    pub fn issued_at(&self) -> Option<f64> {
        self.identity.issued_at
    }
}
