//! Error responses in the format of RFC 9457.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use log::Level;
use serde_json::json;

use crate::domain::FieldError;
use crate::telemetry::RequestContext;

pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

pub struct Problem {
    /// The description of the response in the OpenAPI document.
    pub description: &'static str,
    pub status: StatusCode,
    /// The last part of the member `type`, which is a URN.
    pub kind: &'static str,
    pub title: &'static str,
    /// One sentence that tells the client what to change.
    pub detail: Cow<'static, str>,
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The level of the log line that `ApiError::error_response` writes, or `None` if it writes no line.
    pub level: Option<Level>,
}

impl Problem {
    /// Creates a problem without an additional header and without a log line, which is the usual case for a client's
    /// mistake.
    pub fn new(
        description: &'static str,
        status: StatusCode,
        (kind, title): (&'static str, &'static str),
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            description,
            status,
            kind,
            title,
            detail: detail.into(),
            header: None,
            level: None,
        }
    }

    pub fn with_header(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        let header = Some((name, value.into()));
        Self { header, ..self }
    }

    pub fn logged(self, level: Level) -> Self {
        let level = Some(level);
        Self { level, ..self }
    }

    pub fn body(&self, errors: &[FieldError], request_id: &str) -> String {
        let mut body = json!({
            "type": format!("urn:todo-backend:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": request_id,
        });
        if !errors.is_empty() {
            body["errors"] = json!(errors);
        }
        body.to_string()
    }

    /// Creates the response to the current request. The body contains the id of that request.
    pub fn response(self, errors: &[FieldError]) -> HttpResponse {
        let context = RequestContext::current();
        let request_id = context.as_ref().map_or("-", |context| &context.request_id);
        let body = BoxBody::new(self.body(errors, request_id));
        let mut response = HttpResponse::with_body(self.status, body);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
