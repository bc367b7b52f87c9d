//! Why a token is refused. The texts are for the operator's log and are never sent to the client.

/// Each text says what the operator can fix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no Authorization header came with the call")]
    Missing,
    #[error("more than one Authorization header came with the call")]
    Ambiguous,
    #[error("the Authorization header does not hold a Bearer token")]
    NotBearer,
    #[error(
        "the token is not a JWT but an opaque string, such as Better Auth's session token: the frontend \
         must send the JWT of GET /api/auth/token (the jwt() plugin), not the session token"
    )]
    Opaque,
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    #[error(
        "the token is signed with {0:?}, which is not accepted (HS256, EdDSA, ES256, ES512, RS256, PS256 are)"
    )]
    Algorithm(String),
    #[error("the token's header demands extensions (crit) that are not supported")]
    Critical,
    #[error(
        "this is a token of another kind: its typ is {0:?}, and an API token's is JWT or missing (at+jwt is \
         an OAuth access token, better-auth.session-cache+jwt the cookie cache): the frontend must send the \
         JWT of GET /api/auth/token"
    )]
    TokenType(String),
    #[error(
        "this is the token of a Better Auth e-mail link, not an API token: the frontend must send the JWT \
         of GET /api/auth/token, and one that signs tokens by itself must name the user in sub (userId \
         counts only beside iss or aud)"
    )]
    EmailLink,
    #[error(
        "this is a token that is bound to its holder's key (cnf), such as an OAuth access token with DPoP, \
         not an API token: the frontend must send the JWT of GET /api/auth/token"
    )]
    KeyBound,
    #[error(
        "the signature does not match: the token was signed with another secret than this service's \
         BETTER_AUTH_SECRET (or any of BETTER_AUTH_SECRETS)"
    )]
    WrongSecret,
    #[error("the signature does not match the key {0:?} of the key set")]
    WrongKey(String),
    #[error("the key set at {url} has no key {kid:?} for {algorithm}")]
    UnknownKey {
        kid: String,
        algorithm: &'static str,
        url: String,
    },
    /// The key set could not be fetched, so the token may be valid. The response is a 503, not a 401.
    #[error(
        "the token is signed with {algorithm}, but no key set answers at {url} ({problem}): start the \
         frontend, or point BETTER_AUTH_JWKS_URL at it as this machine reaches it"
    )]
    NoKeys {
        algorithm: &'static str,
        url: String,
        problem: String,
    },
    #[error("the token has no exp claim that is a number")]
    NoExpiry,
    #[error("the token expired {0} s ago: the frontend must fetch a new one (they live 15 minutes)")]
    Expired(u64),
    #[error("the token is not valid for another {0} s: the clock of this machine or of the issuer is off")]
    NotYet(u64),
    #[error("the issuer is {found:?}, expected {expected} (JWT_ISSUER or BETTER_AUTH_URL)")]
    Issuer { found: String, expected: String },
    #[error(
        "the issuer is empty, expected {expected}: the frontend made the token without knowing its own \
         address; set baseURL in its betterAuth({{ … }}), or BETTER_AUTH_URL in its environment"
    )]
    EmptyIssuer { expected: String },
    #[error("the audience is {found:?}, expected {expected} (JWT_AUDIENCE or BETTER_AUTH_URL)")]
    Audience { found: String, expected: String },
    #[error(
        "the token names no user (sub, id, user_id, userId, user.id or session.userId); an email alone \
         is not enough: e-mail verification links carry such tokens"
    )]
    NoUser,
    #[error(
        "the account does not exist (any more) in Better Auth's users table: it was deleted, or the token \
         comes from a frontend with another database"
    )]
    UnknownUser,
}

impl Refusal {
    /// The label of the metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous | Self::NotBearer => "not_bearer",
            Self::Opaque => "opaque",
            Self::Malformed(_) => "malformed",
            Self::Algorithm(_) => "algorithm",
            Self::Critical => "critical",
            Self::TokenType(_) => "token_type",
            Self::EmailLink => "email_link",
            Self::KeyBound => "key_bound",
            Self::WrongSecret => "wrong_secret",
            Self::WrongKey(_) => "wrong_key",
            Self::UnknownKey { .. } => "unknown_key",
            Self::NoKeys { .. } => "no_keys",
            Self::NoExpiry => "no_expiry",
            Self::Expired(_) => "expired",
            Self::NotYet(_) => "not_yet_valid",
            Self::Issuer { .. } | Self::EmptyIssuer { .. } => "issuer",
            Self::Audience { .. } => "audience",
            Self::NoUser => "no_user",
            Self::UnknownUser => "unknown_user",
        }
    }
}
