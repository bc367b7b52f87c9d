//! The middleware of `/api/`: it verifies the token, applies the rate limit, and stores the user in the request's
//! extensions.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};

use super::app_data;
use super::error::ApiError;
use super::rate_limit::RateLimits;
use crate::auth::{Refusal, Verifier};
use crate::telemetry::METRICS;

/// Authentication and rate limit are in one middleware, because each middleware costs two allocations per request.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    match authenticate_and_limit(&request).await {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

async fn authenticate_and_limit(request: &ServiceRequest) -> Result<(), ApiError> {
    let verifier: &Data<Verifier> = app_data(request.request())?;
    let limits: &Data<RateLimits> = app_data(request.request())?;
    let verified = match bearer_token(request) {
        Ok(token) => verifier.verify(token).await,
        Err(refusal) => Err(refusal),
    };
    let user = verified
        .inspect_err(|refusal| METRICS.token_refused(refusal.metric_label()))?
        .user;
    request.extensions_mut().insert(user.clone());
    // The limit is checked after the verification, so that a request without a valid token does not count for a user.
    let outcome = limits.check(&user.id);
    outcome.map_err(|retry_after_seconds| ApiError::RateLimited { retry_after_seconds })
}

fn bearer_token(request: &ServiceRequest) -> Result<&str, Refusal> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next().ok_or(Refusal::Missing)?;
    if headers.next().is_some() {
        return Err(Refusal::Ambiguous);
    }
    // The header need not be checked for characters outside ASCII, as `HeaderValue::to_str` does: a token that contains
    // such a character fails the verification anyway.
    let (scheme, token) = std::str::from_utf8(header.as_bytes())
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(Refusal::NotBearer)?;
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
        return Err(Refusal::NotBearer);
    }
    Ok(token)
}
