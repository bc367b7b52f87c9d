//! The one form that errors travel in (RFC 9457). What may go wrong is told in `error`.

use actix_cors::CorsError;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::domain::FieldError;

/// What the client reads, less the request's id.
pub struct Problem {
    pub kind: &'static str,
    pub title: &'static str,
    pub status: StatusCode,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// What the log reads.
    pub cause: Option<String>,
    /// The same in a word, where the metrics have one for it.
    pub reason: Option<&'static str>,
}

impl Problem {
    /// For an error that none of our code made: a framework's, or a panic's.
    pub fn of_status(status: StatusCode) -> Self {
        let (kind, title, detail) = match status {
            StatusCode::NOT_FOUND => ("not-found", "Not found", "Nothing is at this address; see /docs."),
            StatusCode::REQUEST_TIMEOUT => (
                "request-timeout",
                "Request timeout",
                "Send the whole request without long pauses.",
            ),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                "headers-too-large",
                "Headers too large",
                "Send fewer or shorter headers.",
            ),
            StatusCode::SERVICE_UNAVAILABLE => (
                "unavailable",
                "Service unavailable",
                "The service cannot answer right now; try again after the time in Retry-After.",
            ),
            status if status.is_server_error() => (
                "internal",
                "Internal error",
                "Something went wrong inside the service; try again later, and quote the request_id when \
                 you report it.",
            ),
            _ => (
                "bad-request",
                "Bad request",
                "The request is malformed; correct it before sending it again.",
            ),
        };
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            errors: Vec::new(),
            cause: None,
            reason: None,
        }
    }

    /// A browser asks whether a page may make a call, and it may not.
    pub fn of_preflight(error: &CorsError) -> Self {
        Self {
            detail: format!(
                "{error}: call from a configured origin, with the methods and headers in /openapi.json."
            ),
            ..Self::of_status(StatusCode::BAD_REQUEST)
        }
    }

    pub fn body(&self, request_id: &str) -> String {
        let mut body = json!({
            "type": format!("urn:todo-backend:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": request_id,
        });
        if !self.errors.is_empty() {
            body["errors"] = self.errors.iter().map(|error| json!(error)).collect::<Value>();
        }
        body.to_string()
    }
}
