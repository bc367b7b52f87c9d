//! The reasons why a token is refused. The texts appear in the log and in the output of `inspect-token`, and are never
//! sent to clients.

/// The reason why a token is refused. Where the operator can fix the cause, the text says how.
#[derive(Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    #[error("the request has no Authorization header")]
    Missing,
    #[error("the request has more than one Authorization header")]
    #[strum(serialize = "not_bearer")]
    Ambiguous,
    #[error("the Authorization header does not contain a Bearer token")]
    NotBearer,
    #[error(
        "the token is not a JWT but an opaque string, such as Better Auth's session token: the frontend \
         must send the JWT from GET /api/auth/token (the jwt() plugin) instead"
    )]
    Opaque,
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    #[error(
        "the token is signed with {0:?}; the accepted algorithms are HS256, EdDSA, ES256, ES512, RS256 and PS256"
    )]
    Algorithm(String),
    #[error("the token's header requires extensions (crit) that are not supported")]
    Critical,
    #[error(
        "this is a token of another kind: its typ is {0:?}, but an API token has the typ JWT or none (at+jwt is an \
         OAuth access token, better-auth.session-cache+jwt a session in Better Auth's cookie cache): the \
         frontend must send the JWT from GET /api/auth/token"
    )]
    TokenType(String),
    #[error(
        "this is the token of a Better Auth e-mail link, not an API token: the frontend must send the JWT \
         from GET /api/auth/token; a frontend that signs tokens itself must name the user in sub (userId \
         counts only in a token with iss or aud)"
    )]
    EmailLink,
    #[error(
        "this is a token that is bound to its holder's key (cnf), such as an OAuth access token with DPoP, \
         not an API token: the frontend must send the JWT from GET /api/auth/token"
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
    /// No key set could be fetched, so the token may be valid. The response is a 503 and not a 401.
    #[error(
        "the token is signed with {algorithm}, but no key set answers at {url} ({problem}): start the \
         frontend, or set BETTER_AUTH_JWKS_URL to a URL at which this machine reaches it"
    )]
    NoKeys {
        algorithm: &'static str,
        url: String,
        problem: String,
    },
    #[error("the token has no exp claim that is a number")]
    NoExpiry,
    #[error(
        "the token expired {0} s ago: the frontend must fetch a new one (Better Auth's tokens expire after \
         15 minutes by default)"
    )]
    Expired(u64),
    #[error("the token becomes valid in {0} s: the clock of this machine or of the issuer is wrong")]
    NotYetValid(u64),
    #[error("the issuer is {found:?}, expected {expected} (JWT_ISSUER or BETTER_AUTH_URL)")]
    Issuer { found: String, expected: String },
    #[error(
        "the issuer is empty, expected {expected}: the frontend signed the token without knowing its own \
         URL; set baseURL in its betterAuth({{ … }}), or BETTER_AUTH_URL in its environment"
    )]
    #[strum(serialize = "issuer")]
    EmptyIssuer { expected: String },
    #[error("the audience is {found:?}, expected {expected} (JWT_AUDIENCE or BETTER_AUTH_URL)")]
    Audience { found: String, expected: String },
    #[error(
        "the token names no user (sub, id, user_id, userId, user.id or session.userId); an e-mail \
         address alone is not enough, because the token of an e-mail verification link has one as well"
    )]
    NoUser,
    #[error(
        "the account does not exist (any more) in Better Auth's users table: it was deleted, or the token \
         comes from a frontend with another database"
    )]
    UnknownUser,
}

impl Refusal {
    /// The value of the label `reason` of the metric `auth_refused_tokens_total`. It is the name of the variant in
    /// snake case, unless an attribute overrides it. The values must not be changed, because alerts use them.
    pub fn metric_label(&self) -> &'static str {
        self.into()
    }
}
