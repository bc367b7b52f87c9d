//! The middleware around every request. It assigns the request id, writes the access log, updates the metrics, and
//! converts panics and error responses of the framework into problem documents.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use actix_cors::CorsError;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderMap, HeaderValue, HttpDate, ORIGIN, TRANSFER_ENCODING,
    VARY,
};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _};
use futures_util::FutureExt as _;

use super::error::ApiError;
use super::problem::PROBLEM_JSON;
use super::request_id::{X_REQUEST_ID, request_context};
use super::server::Activity;
use crate::auth::AuthenticatedUser;
use crate::telemetry::{CompletedRequest, RequestContext};

/// The text that the log and the metrics contain instead of a route if the request matches none.
const NO_ROUTE: &str = "-";

/// The outermost middleware of the public listener.
pub async fn access_log(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let started = Instant::now();
    let activity = request.request().conn_data::<Rc<Activity>>();
    let _in_flight = activity.map(|activity| activity.begin_request());
    let context = request_context(request.headers());
    let method = request.method().clone();
    let respond = async {
        match next.call(request).await {
            Ok(response) => {
                let response = finish(response);
                record(&response, started);
                Ok(response)
            }
            // The only error of the inner services is the one that `catch_panic` returns. The request no longer exists
            // then, so the route and the user are unknown.
            Err(error) => {
                let mut response = error.error_response();
                add_request_id(response.headers_mut());
                CompletedRequest {
                    method: method.as_str(),
                    route: NO_ROUTE,
                    status: response.status().as_u16(),
                    duration: started.elapsed(),
                    user_id: None,
                }
                .record();
                Err(InternalError::from_response(error, response).into())
            }
        }
    };
    context.scope(respond).await
}

/// The middleware of the metrics listener, whose requests are neither logged nor counted.
pub async fn without_access_log(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let context = request_context(request.headers());
    context
        .scope(async { Ok(finish(next.call(request).await?)) })
        .await
}

/// Converts a panic into an error. This middleware runs inside the CORS middleware, so that the response to a panic has
/// the CORS headers as well.
pub async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(ApiError::Panicked.into()),
    }
}

fn finish<B: MessageBody + 'static>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let mut response = if is_error && response.headers().get(CONTENT_TYPE) != Some(&PROBLEM_JSON) {
        let (request, response) = response.into_parts();
        let problem = problem_of(&request, &response);
        ServiceResponse::new(request, problem).map_into_right_body()
    } else {
        response.map_into_left_body()
    };
    if is_error {
        let request = response.request().clone();
        close_after_chunked_request(&request, response.response_mut());
    }
    close_if_not_persistent(&mut response);
    add_request_id(response.headers_mut());
    response
}

/// Converts an error response of the framework into a problem.
fn problem_of<B>(request: &HttpRequest, response: &HttpResponse<B>) -> HttpResponse {
    let refused = response.error().and_then(|error| error.as_error::<CorsError>());
    let error = match refused {
        Some(reason) => ApiError::PreflightRefused(reason.to_string()),
        None => ApiError::Framework(response.status()),
    };
    let mut problem = error.error_response();
    let headers = problem.headers_mut();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE {
            headers.append(name.clone(), value.clone());
        }
    }
    // The CORS middleware checks the origin first, so the origin is allowed if the middleware refuses the method or the
    // headers. Its response lacks `Access-Control-Allow-Origin`, without which a browser does not show the reason.
    if let Some(CorsError::MethodNotAllowed | CorsError::HeadersNotAllowed | CorsError::BadRequestHeaders) =
        refused
        && let Some(origin) = request.headers().get(ORIGIN)
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    problem
}

/// Closes the connection after the response in two cases: if the client sent `Connection: upgrade`, which the service
/// does not support and which actix would otherwise repeat in the response; and if an HTTP/1.0 client gets a body of
/// unknown length, which can only end with the connection, because HTTP/1.0 has no chunked encoding.
fn close_if_not_persistent<B: MessageBody>(response: &mut ServiceResponse<B>) {
    let asks_for_upgrade = response.request().head().upgrade();
    let must_not_be_chunked = response.request().version() == Version::HTTP_10
        && response.response().body().size() == BodySize::Stream;
    let head = response.response_mut().head_mut();
    if must_not_be_chunked {
        head.no_chunking(true);
    }
    if must_not_be_chunked || asks_for_upgrade {
        head.set_connection_type(ConnectionType::Close);
    }
}

/// Closes the connection after an error response to a chunked request, because actix would read the rest of the body
/// for as long as the client sends. If the body has a Content-Length, actix closes the connection itself.
fn close_after_chunked_request<B>(request: &HttpRequest, response: &mut HttpResponse<B>) {
    if request.headers().contains_key(TRANSFER_ENCODING) {
        response.head_mut().set_connection_type(ConnectionType::Close);
        if let Some(activity) = request.conn_data::<Rc<Activity>>() {
            activity.close_after_response();
        }
    }
}

fn add_request_id(headers: &mut HeaderMap) {
    let context = RequestContext::current();
    let id = context.and_then(|context| HeaderValue::from_str(&context.request_id).ok());
    if let Some(id) = id {
        headers.insert(X_REQUEST_ID, id);
    }
}

fn record(response: &ServiceResponse<impl MessageBody>, started: Instant) {
    let request = response.request();
    let user = request.extensions().get::<AuthenticatedUser>().cloned();
    CompletedRequest {
        method: request.method().as_str(),
        route: request.match_pattern().as_deref().unwrap_or(NO_ROUTE),
        status: response.status().as_u16(),
        duration: started.elapsed(),
        user_id: user.as_ref().map(|user| user.id.as_str()),
    }
    .record();
}

/// The bytes of the response to a client whose request headers did not arrive in time. Middleware cannot create this
/// response, because it runs only after the headers have arrived.
pub fn header_timeout_response() -> Vec<u8> {
    let context = request_context(&HeaderMap::new());
    let id = context.request_id.clone();
    context.sync_scope(|| log::info!("408: the request headers did not arrive in time"));
    let body = ApiError::RequestTimeout.body(&id);
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\nx-request-id: {id}\r\ndate: {}\r\n\r\n",
        body.len(),
        HttpDate::from(SystemTime::now()),
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
