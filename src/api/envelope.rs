//! Around every answer: the request's id, the problem's body, and a line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, HttpDate, ORIGIN,
    RETRY_AFTER, TRANSFER_ENCODING, VARY,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::FutureExt as _;

use super::error::ApiError;
use super::problem::Problem;
use crate::auth::AuthenticatedUser;
use crate::logging::{Answered, RequestContext, TraceId};
use crate::wire::InFlightRequests;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The two headers of the W3C recommendation "Trace Context". The second is allowed and not read.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// How long a client should leave a busy service alone, in seconds.
const SOON: HeaderValue = HeaderValue::from_static("1");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What stands for the route in the log and the metrics where there is none.
const NO_ROUTE: &str = "-";

/// Outermost, so that no answer escapes it, a failed preflight's included.
pub async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let started = Instant::now();
    let in_flight = request.request().conn_data::<InFlightRequests>();
    let _in_flight = in_flight.map(InFlightRequests::begin);
    let id = request_id(&request);
    let context = RequestContext {
        request_id: Arc::clone(&id),
        trace_id: trace_id(request.headers()),
    };
    let method = request.method().clone();
    let work = async {
        match next.call(request).await {
            Ok(response) => {
                let response = finish(response, &id);
                note(&response, started);
                Ok(response)
            }
            // Only a panic comes this way: its request is lost, and actix makes the answer from the error.
            Err(mut error) => {
                let id = id.clone();
                let lost = Answered {
                    method: method.as_str(),
                    route: NO_ROUTE,
                    status: 500,
                    took: started.elapsed(),
                    user: None,
                };
                lost.note();
                error.add_response_mapper(move |response| {
                    let mut response = problem(response.drop_body(), &id);
                    add_id(response.headers_mut(), &id);
                    response
                });
                Err(error)
            }
        }
    };
    context.scope(work).await
}

/// The same around the metrics, whose readers are not to be counted in them.
pub async fn uncounted(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let id = request_id(&request);
    Ok(finish(next.call(request).await?, &id))
}

fn finish<B>(response: ServiceResponse<B>, id: &str) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let mut response = if status.is_client_error() || status.is_server_error() {
        let (request, mut response) = response.into_parts();
        // Nobody may have read such a body to its end, and the parser would do so for as long as the
        // client likes. One with a length it leaves by itself.
        if request.headers().contains_key(TRANSFER_ENCODING) {
            response.head_mut().set_connection_type(ConnectionType::Close);
            if let Some(in_flight) = request.conn_data::<InFlightRequests>() {
                in_flight.close_after_response();
            }
        }
        let mut response = problem(response.drop_body(), id);
        show_refused_preflight(&request, response.headers_mut());
        ServiceResponse::new(request, response).map_into_right_body()
    } else {
        response.map_into_left_body()
    };
    add_id(response.headers_mut(), id);
    response
}

/// Whose frontends are shown answers.
pub struct Origins(pub Vec<String>);

/// The CORS middleware says so of every answer but one: of a preflight that it refuses.
fn show_refused_preflight(request: &HttpRequest, headers: &mut HeaderMap) {
    let refused = request.method() == Method::OPTIONS && !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
    if let (Some(origin), Some(origins)) =
        (request.headers().get(ORIGIN), request.app_data::<Data<Origins>>())
        && refused
        && origins
            .0
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

fn add_id(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
}

/// Next to the handlers, so that a panic's answer goes through everything that others go through.
pub async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(ApiError::Panic.into()),
    }
}

/// Gives an error its body: from what our code said of it, or else from its status.
fn problem(mut response: HttpResponse<()>, id: &str) -> HttpResponse<BoxBody> {
    let status = response.status();
    let said = response.extensions_mut().remove::<Problem>();
    let problem = said.unwrap_or_else(|| match response.error().and_then(|error| error.as_error()) {
        Some(error) => Problem::of_preflight(error),
        None => Problem::of_status(status),
    });
    if let Some(cause) = &problem.cause {
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => log::error!("{cause}"),
            // A client's mistake, and not ours: strangers must not fill the log with warnings.
            StatusCode::UNAUTHORIZED => log::info!(reason = problem.reason; "401: {cause}"),
            _ => log::warn!(reason = problem.reason; "{}: {cause}", status.as_u16()),
        }
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, SOON);
    }
    let body = problem.body(id);
    response.set_body(BoxBody::new(body))
}

/// The client's own id, if it can do no harm in a log or a header, or else a new one.
fn request_id(request: &ServiceRequest) -> Arc<str> {
    let harmless = |text: &&str| {
        (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&b))
    };
    let theirs = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    match theirs.filter(harmless) {
        Some(id) => id.into(),
        None => new_request_id(),
    }
}

/// Of a header that is there more than once, no value counts.
fn trace_id(headers: &HeaderMap) -> Option<TraceId> {
    let mut values = headers.get_all(TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(value), None) => TraceId::from_traceparent(value.as_bytes()),
        _ => None,
    }
}

/// The whole response to a request whose headers did not arrive in time. There is no request yet, so
/// nothing of this module's middleware has run for it.
pub fn request_timeout() -> Vec<u8> {
    let id = new_request_id();
    let context = RequestContext {
        request_id: Arc::clone(&id),
        trace_id: None,
    };
    context.sync_scope(|| log::info!("408: a request's headers did not arrive in time"));
    let body = Problem::of_status(StatusCode::REQUEST_TIMEOUT).body(&id);
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\nx-request-id: {id}\r\ndate: {}\r\n\r\n",
        body.len(),
        HttpDate::from(SystemTime::now()),
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn new_request_id() -> Arc<str> {
    Arc::from(format!("{:032x}", fastrand::u128(..)))
}

fn note(response: &ServiceResponse<impl MessageBody>, started: Instant) {
    let request = response.request();
    let user = request.extensions().get::<AuthenticatedUser>().cloned();
    Answered {
        method: request.method().as_str(),
        route: request.match_pattern().as_deref().unwrap_or(NO_ROUTE),
        status: response.status().as_u16(),
        took: started.elapsed(),
        user: user.as_ref().map(|user| user.id().as_str()),
    }
    .note();
}
