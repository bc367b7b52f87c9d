//! The authentication middleware of `/api/`: it verifies the token and puts the user into the request.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};

use super::error::ApiError;
use crate::auth::{Refusal, Verifier};
use crate::telemetry::METRICS;

pub async fn guard(
    verifier: web::Data<Verifier>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let verified = match bearer_token(&request) {
        Ok(token) => verifier.verify(token).await,
        Err(refusal) => Err(refusal),
    };
    match verified {
        Ok(verified) => {
            request.extensions_mut().insert(verified.user);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(refusal) => {
            METRICS.token_refused(refusal.kind());
            Ok(request
                .error_response(ApiError::from(refusal))
                .map_into_right_body())
        }
    }
}

fn bearer_token(request: &ServiceRequest) -> Result<&str, Refusal> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next().ok_or(Refusal::Missing)?;
    if headers.next().is_some() {
        return Err(Refusal::Ambiguous);
    }
    // `to_str` would also check that each character is ASCII, but a token that is not fails verification anyway.
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
