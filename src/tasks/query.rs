//! The query parameters of a list, and the link to its next page.

use std::str::FromStr;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, web};
use strum::VariantNames;
use url::form_urlencoded;

use super::cursor::ListCursors;
use crate::domain::{ErrorCode, ListQuery, Page, Position, ValidationError, ValidationErrors};
use crate::http::caller::caller;
use crate::http::contract::Contract;
use crate::http::error::ApiError;
use crate::http::{app_data, extractor};

extractor!(ListQuery, extract);

/// The `Link` header that leads to the next page.
pub fn link_to(next: &Position, query: &ListQuery, request: &HttpRequest) -> Result<HeaderValue, ApiError> {
    let user = caller(request)?;
    let cursor = cursors(request)?.sign(&user.id, query, next);
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("status", query.status.into_str());
    parameters.append_pair("sort", query.sort.into_str());
    if let Some(page) = &query.page {
        parameters.append_pair("limit", &page.limit.to_string());
    }
    parameters.append_pair("cursor", &cursor);
    // The URL is relative, because behind a proxy the service does not know its public host name.
    let link = format!("<{}?{}>; rel=\"next\"", request.uri().path(), parameters.finish());
    HeaderValue::from_str(&link).map_err(|error| ApiError::Internal(error.to_string()))
}

fn cursors(request: &HttpRequest) -> Result<&ListCursors, ApiError> {
    app_data::<web::Data<ListCursors>>(request).map(|cursors| cursors.get_ref())
}

/// Parses the query of a list. Unknown parameters are ignored, like unknown members of a body.
fn extract(request: &HttpRequest) -> Result<ListQuery, ApiError> {
    let user = caller(request)?;
    let cursors = cursors(request)?;
    let values = |name: &'static str| {
        let parameters = form_urlencoded::parse(request.query_string().as_bytes());
        parameters
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let mut errors = ValidationErrors::default();
    let limit = errors.parse("limit", values("limit"), |text| parse_limit(&text));
    let status = errors.parse("status", values("status"), |text| parse_name(&text));
    let sort = errors.parse("sort", values("sort"), |text| parse_name(&text));
    let mut parsed = ListQuery {
        status: status.unwrap_or_default(),
        sort: sort.unwrap_or_default(),
        page: limit.map(|limit| Page { limit, after: None }),
    };
    let after = errors.parse("cursor", values("cursor"), |cursor| {
        if parsed.page.is_none() {
            return Err(ErrorCode::Cursor.with("must come with a valid limit"));
        }
        let invalid = || ErrorCode::Cursor.with("must be one that came in a Link header for the same list");
        cursors.verify(&user.id, &parsed, &cursor).ok_or_else(invalid)
    });
    if let Some(page) = &mut parsed.page {
        page.after = after;
    }
    errors
        .into_result(parsed)
        .map_err(|errors| ApiError::BadInput(Contract::of(request), errors))
}

fn parse_name<T: FromStr + VariantNames>(text: &str) -> Result<T, ValidationError> {
    let invalid = |_| ErrorCode::Enum.with(format!("must be one of {}", T::VARIANTS.join(", ")));
    text.parse().map_err(invalid)
}

fn parse_limit(text: &str) -> Result<u16, ValidationError> {
    let invalid =
        |code: ErrorCode| code.with(format!("must be a whole number from 1 to {}", Page::MAX_LIMIT));
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(ErrorCode::Type));
    }
    text.parse()
        .ok()
        .filter(|limit| (1..=Page::MAX_LIMIT).contains(limit))
        .ok_or_else(|| invalid(ErrorCode::Range))
}
