//! The one error type of the HTTP side.
//!
//! An error becomes an answer in two steps. Here it gets its status, its headers and its words; the
//! envelope (outermost) adds the request's id, writes the body, and logs the cause, once.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use super::contract::Contract;
use super::problem::Problem;
use crate::auth::Refusal;
use crate::domain::Invalid;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 401. The guard's; or a handler that was registered where no guard stands.
    #[error("{0}")]
    Unauthenticated(#[from] Refusal),
    /// 403, on contract B alone: its path names a user, and the token another. It does not matter
    /// whether that user exists.
    #[error("the path names another user than the token")]
    OtherUser,
    /// 404. Also for what belongs to somebody else: a client must not learn that it exists.
    #[error("not found")]
    NotFound(&'static str),
    /// 405.
    #[error("the method is not allowed")]
    Method { allow: &'static str },
    /// 400 on contract A, 422 on contract B.
    #[error("bad input")]
    BadInput(Contract, Invalid),
    /// 400, on both contracts: the body ended before it was whole.
    #[error("the body was cut off")]
    BodyCutOff,
    /// 408.
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    /// 412.
    #[error("someone else was faster")]
    Outdated,
    /// 413.
    #[error("the body is too large")]
    TooLarge,
    /// 415.
    #[error("the media type is not supported")]
    MediaType(&'static str),
    /// 422, on both contracts.
    #[error("the idempotency key came before, with another payload")]
    KeyReused,
    /// 429.
    #[error("the rate limit is reached")]
    TooManyRequests { seconds: u64 },
    /// 503, or 500 where it is a mistake of ours.
    #[error("{0}")]
    Store(StoreError),
    /// 503. For lists without `limit` of more than some hundred tasks.
    #[error("the user, or all users together, have as many long lists under way as they may")]
    NoRoom,
    /// 500.
    #[error("{0}")]
    Internal(String),
    /// 500. The panic itself was logged by the hook, with the request's id.
    #[error("a handler panicked")]
    Panic,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownUser => Self::Unauthenticated(Refusal::UnknownUser),
            StoreError::TooManyLongLists => Self::NoRoom,
            error => Self::Store(error),
        }
    }
}

impl ApiError {
    pub(super) fn problem(&self) -> Problem {
        let (status, kind, title, detail) = match self {
            Self::Unauthenticated(Refusal::NoKeys { .. }) => {
                return self.behind(Problem::of_status(StatusCode::SERVICE_UNAVAILABLE));
            }
            Self::Unauthenticated(Refusal::Missing) => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Authentication required",
                "Send a valid token in the header Authorization: Bearer <token>.".into(),
            ),
            Self::Unauthenticated(_) => (
                StatusCode::UNAUTHORIZED,
                "invalid-token",
                "Invalid token",
                "The token is not valid or has expired; fetch a new one and send it in the header \
                 Authorization: Bearer <token>."
                    .into(),
            ),
            Self::OtherUser => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "Not your tasks",
                "The user id in the path must be the id of the user that the token was issued to.".into(),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not-found", "Not found", (*what).into()),
            Self::Method { allow } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
                format!("Use one of the methods that this address allows: {allow}."),
            ),
            Self::BadInput(contract, invalid) => (
                contract.bad_input(),
                "bad-input",
                "Bad input",
                match invalid.0.as_slice() {
                    [only] => format!("Correct the field {}: it {}.", only.field, only.message),
                    _ => "Correct the fields that are listed in errors.".into(),
                },
            ),
            Self::Outdated => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "Precondition failed",
                "The task was changed since the version in If-Match; fetch it and try again.".into(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload-too-large",
                "Body too large",
                format!("Send a body of at most {} bytes.", super::body::MAX_BYTES),
            ),
            Self::MediaType(detail) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                (*detail).into(),
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency key reused",
                "This Idempotency-Key came before with another payload; use a new key for a new task.".into(),
            ),
            Self::BodyCutOff => return Problem::of_status(StatusCode::BAD_REQUEST),
            Self::BodyTooSlow => return Problem::of_status(StatusCode::REQUEST_TIMEOUT),
            Self::TooManyRequests { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
                "Wait for the time in Retry-After before the next request.".into(),
            ),
            Self::NoRoom => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Service unavailable",
                "Too many long lists are on their way: ask for less with limit, or try again later.".into(),
            ),
            Self::Panic | Self::Store(StoreError::Panicked) => {
                return Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR);
            }
            Self::Store(StoreError::Internal(_)) | Self::Internal(_) => {
                return self.behind(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR));
            }
            Self::Store(_) => {
                return self.behind(Problem::of_status(StatusCode::SERVICE_UNAVAILABLE));
            }
        };
        let problem = Problem {
            kind,
            title,
            status,
            detail,
            errors: match self {
                Self::BadInput(_, invalid) => invalid.0.clone(),
                _ => Vec::new(),
            },
            cause: None,
            reason: None,
        };
        match self {
            Self::Unauthenticated(_) | Self::NoRoom => self.behind(problem),
            _ => problem,
        }
    }

    /// With what the log is to say of it.
    fn behind(&self, problem: Problem) -> Problem {
        Problem {
            cause: Some(self.to_string()),
            reason: match self {
                Self::Unauthenticated(refusal) => Some(refusal.kind()),
                _ => None,
            },
            ..problem
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        Some(match self {
            Self::Unauthenticated(Refusal::NoKeys { .. }) => return None,
            Self::Unauthenticated(Refusal::Missing) => (
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"todo-backend\""),
            ),
            Self::Unauthenticated(_) => (
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(
                    "Bearer realm=\"todo-backend\", error=\"invalid_token\", \
                     error_description=\"the token is not valid or has expired\"",
                ),
            ),
            Self::TooManyRequests { seconds } => (header::RETRY_AFTER, HeaderValue::from(*seconds)),
            Self::Method { allow } => (header::ALLOW, HeaderValue::from_static(allow)),
            _ => return None,
        })
    }
}

impl ResponseError for ApiError {
    fn error_response(&self) -> HttpResponse {
        let problem = self.problem();
        let mut response = HttpResponse::new(problem.status);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(problem);
        response
    }
}
