//! The parts of the HTTP interface that every resource needs. They must not depend on `crate::tasks`.

pub mod access_log;
pub mod auth_guard;
pub mod caller;
pub mod contract;
pub mod cursor;
pub mod docs;
pub mod error;
pub mod etag;
pub mod health;
pub mod idempotency_key;
pub mod json_body;
pub mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod request_id;
pub mod response_body;
pub mod server;

use actix_web::HttpRequest;

use self::error::ApiError;

/// Implements `FromRequest` for a type that a function creates from the request without its body.
macro_rules! extractor {
    ($type:ty, $extract:expr) => {
        impl actix_web::FromRequest for $type {
            type Error = $crate::http::error::ApiError;
            type Future = std::future::Ready<Result<Self, Self::Error>>;

            fn from_request(
                request: &actix_web::HttpRequest,
                _: &mut actix_web::dev::Payload,
            ) -> Self::Future {
                std::future::ready($extract(request))
            }
        }
    };
}
pub(crate) use extractor;

/// The application data of this type, which `App::app_data` has set.
pub fn app_data<T: 'static>(request: &HttpRequest) -> Result<&T, ApiError> {
    let missing = || ApiError::Internal(format!("app data is missing: {}", std::any::type_name::<T>()));
    request.app_data().ok_or_else(missing)
}
