//! Who is calling: from a token to a verified user, and nothing else. Knows nothing of requests, nor of
//! tasks and their database.

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
pub use verifier::{Verified, Verifier};

use crate::domain::UserId;

/// A user whom a verified token names. Only this module makes one: to hold it is to be allowed to act
/// for that user.
#[derive(Clone, Debug)]
pub struct AuthenticatedUser {
    identity: Arc<Identity>,
}

#[derive(Debug)]
struct Identity {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
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

    /// When the token was issued, in seconds since 1970, if it says so.
    pub fn issued_at(&self) -> Option<f64> {
        self.identity.issued_at
    }
}
