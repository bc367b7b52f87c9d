//! The error type of handlers and middleware.
//!
//! `ApiError::problem` maps each error to its status, texts, header and log level, and to its description in the
//! OpenAPI document.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use log::Level;

use super::contract::Contract;
use super::problem::Problem;
use crate::auth::Refusal;
use crate::domain::{FieldError, ValidationErrors};
use crate::store::StoreError;

/// The value of `Retry-After` in a 503.
const RETRY_AFTER_SECONDS: u64 = 1;

const TRY_AGAIN: &str = "The service cannot answer right now; try again after the time in Retry-After.";

/// An error of a handler, an extractor or a middleware. Its `Display` text is for the log, not for the client.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
pub enum ApiError {
    /// The token is missing or invalid, or its user does not exist (401), or the token cannot be verified because no
    /// key set is available (503). The guard and the store return this error, and so does an extractor on a route that
    /// the guard does not protect.
    #[error("{0}")]
    Unauthenticated(#[from] Refusal),
    /// Only the paths of contract B contain a user's id. The error does not depend on whether that user exists, so a
    /// client cannot find out which users exist.
    #[error("the user in the path is not the token's")]
    OtherUser,
    /// This is also the error for a task of another user, because a client must not learn that the task exists.
    #[error("not found")]
    NotFound(&'static NotFound),
    #[error("the method is not allowed")]
    #[strum(serialize = "WrongMethod")]
    MethodNotAllowed { allow: &'static str },
    #[error("invalid input")]
    BadInput(Contract, ValidationErrors),
    #[error("the body ended early")]
    BodyCutOff,
    #[error("the request did not arrive in time")]
    #[strum(serialize = "BodyTooSlow")]
    RequestTimeout,
    #[error("If-Match does not match")]
    #[strum(serialize = "Outdated")]
    PreconditionFailed,
    #[error("the body is too large")]
    #[strum(serialize = "TooLarge")]
    BodyTooLarge { max_bytes: usize },
    #[error("the media type is not supported")]
    #[strum(serialize = "MediaType")]
    UnsupportedMediaType(&'static str),
    #[error("the idempotency key was used with another payload")]
    #[strum(serialize = "KeyReused")]
    IdempotencyKeyReused,
    #[error("the rate limit is exceeded")]
    RateLimited { retry_after_seconds: u64 },
    #[error("{0}")]
    #[strum(serialize = "Unavailable")]
    Store(StoreError),
    #[error("the quota for long responses of the user or of all users is used up")]
    TooManyLongResponses,
    #[error("{0}")]
    Internal(String),
    /// This error is not logged, because the panic hook has already logged the panic.
    #[error("a handler panicked")]
    Panicked,
    #[error("{0}")]
    PreflightRefused(String),
    /// An error response that actix created.
    #[error("{0}")]
    Framework(StatusCode),
}

/// The texts of a 404, which say what does not exist.
#[derive(Debug)]
pub struct NotFound {
    /// The response's name in the OpenAPI document.
    pub component: &'static str,
    pub description: &'static str,
    pub detail: &'static str,
}

pub static NO_SUCH_ROUTE: NotFound = NotFound {
    component: "NoSuchFile",
    description: "There is no such file.",
    detail: "No route has this path; see /docs for the routes that exist.",
};

impl ApiError {
    /// The name of the response in the OpenAPI document: the variant's name, unless `serialize` specifies another.
    pub fn component(&self) -> &'static str {
        match self {
            Self::NotFound(not_found) => not_found.component,
            Self::BadInput(Contract::B, _) => "UnprocessableInput",
            Self::Unauthenticated(Refusal::NoKeys { .. }) | Self::TooManyLongResponses => "Unavailable",
            Self::Panicked => "Internal",
            other => other.into(),
        }
    }

    pub fn problem(&self) -> Problem {
        match self {
            Self::Unauthenticated(Refusal::NoKeys { .. }) => unavailable(TRY_AGAIN),
            Self::Unauthenticated(Refusal::Missing) => Problem::new(
                "There is no token, or it is not valid.",
                StatusCode::UNAUTHORIZED,
                ("unauthenticated", "Authentication required"),
                "Send a valid token in the header Authorization: Bearer <token>.",
            )
            .with_header(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"todo-backend\""),
            )
            // The level is not `Warn`, because anybody can cause this error.
            .logged(Level::Info),
            Self::Unauthenticated(_) => Problem::new(
                "There is no token, or it is not valid.",
                StatusCode::UNAUTHORIZED,
                ("invalid-token", "Invalid token"),
                "The token is not valid or has expired; fetch a new one and send it in the header \
                 Authorization: Bearer <token>.",
            )
            .with_header(
                WWW_AUTHENTICATE,
                HeaderValue::from_static(
                    "Bearer realm=\"todo-backend\", error=\"invalid_token\", \
                     error_description=\"the token is not valid or has expired\"",
                ),
            )
            .logged(Level::Info),
            Self::OtherUser => Problem::new(
                "The user id in the path is not the token's, whether or not such a user exists.",
                StatusCode::FORBIDDEN,
                ("forbidden", "Not your tasks"),
                "The user id in the path must be the id of the user that the token was issued to.",
            ),
            Self::NotFound(not_found) => Problem::new(
                not_found.description,
                StatusCode::NOT_FOUND,
                ("not-found", "Not found"),
                not_found.detail,
            ),
            Self::MethodNotAllowed { allow } => Problem::new(
                "The resource does not support this method; `Allow` lists those that it supports.",
                StatusCode::METHOD_NOT_ALLOWED,
                ("method-not-allowed", "Method not allowed"),
                format!("Use one of the methods that this resource supports: {allow}."),
            )
            .with_header(ALLOW, HeaderValue::from_static(allow)),
            Self::BadInput(contract, errors) => Problem::new(
                "The input is invalid; `errors` lists every invalid field.",
                contract.invalid_input_status(),
                ("bad-input", "Bad input"),
                match errors.0.as_slice() {
                    [only] => format!("Correct the field {}: it {}.", only.field, only.message),
                    _ => "Correct the fields that are listed in errors.".into(),
                },
            ),
            Self::BodyCutOff => Problem::new(
                "The body ended before it was complete.",
                StatusCode::BAD_REQUEST,
                ("bad-request", "Bad request"),
                "The request is malformed; correct it before sending it again.",
            ),
            Self::RequestTimeout => Problem::new(
                "The body did not arrive in time.",
                StatusCode::REQUEST_TIMEOUT,
                ("request-timeout", "Request timeout"),
                "Send the whole request without long pauses.",
            ),
            Self::PreconditionFailed => Problem::new(
                "The task has changed since the version in `If-Match`.",
                StatusCode::PRECONDITION_FAILED,
                ("precondition-failed", "Precondition failed"),
                "The task was changed since the version in If-Match; fetch it and try again.",
            ),
            Self::BodyTooLarge { max_bytes } => Problem::new(
                "The body is too large.",
                StatusCode::PAYLOAD_TOO_LARGE,
                ("payload-too-large", "Body too large"),
                format!("Send a body of at most {max_bytes} bytes."),
            ),
            Self::UnsupportedMediaType(detail) => Problem::new(
                "The media type is not JSON in UTF-8, or the body has a content encoding.",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ("unsupported-media-type", "Unsupported media type"),
                *detail,
            ),
            Self::IdempotencyKeyReused => Problem::new(
                "The `Idempotency-Key` was used before, with another payload.",
                StatusCode::UNPROCESSABLE_ENTITY,
                ("idempotency-key-reused", "Idempotency key reused"),
                "This Idempotency-Key was used before with another payload; use a new key for a new task.",
            ),
            Self::RateLimited { retry_after_seconds } => Problem::new(
                "The user has sent more requests than the rate limit allows. The limit is off by default.",
                StatusCode::TOO_MANY_REQUESTS,
                ("too-many-requests", "Too many requests"),
                "Wait for the time in Retry-After before the next request.",
            )
            .with_header(RETRY_AFTER, *retry_after_seconds),
            Self::TooManyLongResponses => unavailable(
                "Too many long lists are being sent: request fewer tasks with limit, or try again later.",
            ),
            Self::Panicked | Self::Store(StoreError::Panicked) => internal(),
            Self::Internal(_) | Self::Store(StoreError::Internal(_)) => internal().logged(Level::Error),
            Self::Store(_) => unavailable(TRY_AGAIN),
            Self::PreflightRefused(reason) => Problem {
                detail: format!(
                    "{reason}: call from a configured origin, with the methods and headers in /openapi.json."
                )
                .into(),
                ..Self::BodyCutOff.problem()
            },
            Self::Framework(StatusCode::NOT_FOUND) => Self::NotFound(&NO_SUCH_ROUTE).problem(),
            Self::Framework(StatusCode::SERVICE_UNAVAILABLE) => unavailable(TRY_AGAIN),
            Self::Framework(status) if status.is_server_error() => internal(),
            Self::Framework(status) => Problem {
                status: *status,
                ..Self::BodyCutOff.problem()
            },
        }
    }

    /// The body of the response, for code that writes a response without `HttpResponse`.
    pub fn body(&self, request_id: &str) -> String {
        self.problem().body(self.field_errors(), request_id)
    }

    fn field_errors(&self) -> &[FieldError] {
        match self {
            Self::BadInput(_, errors) => &errors.0,
            _ => &[],
        }
    }

    /// Why a token was refused, for the log line of the error. The metrics use the same name for the reason.
    fn refusal_reason(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated(refusal) => Some(refusal.metric_label()),
            _ => None,
        }
    }
}

fn unavailable(detail: &'static str) -> Problem {
    Problem::new(
        "The database or the issuer's key set cannot be reached in time.",
        StatusCode::SERVICE_UNAVAILABLE,
        ("unavailable", "Service unavailable"),
        detail,
    )
    .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
    .logged(Level::Warn)
}

fn internal() -> Problem {
    Problem::new(
        "The service failed unexpectedly.",
        StatusCode::INTERNAL_SERVER_ERROR,
        ("internal", "Internal error"),
        "Something went wrong inside the service; try again later, and quote the request_id when you report it.",
    )
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownUser => Self::Unauthenticated(Refusal::UnknownUser),
            StoreError::TooManyLongLists => Self::TooManyLongResponses,
            error => Self::Store(error),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.problem().status
    }

    /// Logs the error and creates the response. The request id comes from the current `RequestContext`.
    fn error_response(&self) -> HttpResponse {
        let problem = self.problem();
        if let Some(level) = problem.level {
            log::log!(level, reason = self.refusal_reason(); "{}: {self}", problem.status.as_u16());
        }
        problem.response(self.field_errors())
    }
}
