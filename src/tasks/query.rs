//! The query parameters of a list, and the link to its next page.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, HttpRequest, web};
use strum::VariantNames;
use url::form_urlencoded;

use super::cursor::ListCursors;
use crate::domain::{
    ErrorCode, ListQuery, Page, Position, Sort, Status, ValidationError, ValidationErrors, at_most_one,
};
use crate::http::app_data;
use crate::http::caller::caller;
use crate::http::contract::Contract;
use crate::http::error::ApiError;

impl FromRequest for ListQuery {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(extract(request))
    }
}

/// The `Link` header that leads to the next page.
pub fn link_to(next: &Position, query: &ListQuery, request: &HttpRequest) -> Result<HeaderValue, ApiError> {
    let user = caller(request)?;
    let cursor = cursors(request)?.sign(user.id(), query, next);
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

fn extract(request: &HttpRequest) -> Result<ListQuery, ApiError> {
    let user = caller(request)?;
    let cursors = cursors(request)?;
    let verify = |query: &ListQuery, cursor: &str| cursors.verify(user.id(), query, cursor);
    parse_query(request.query_string(), verify)
        .map_err(|errors| ApiError::BadInput(Contract::of(request), errors))
}

/// Parses the query of a list. Unknown parameters are ignored, like unknown members of a body.
fn parse_query(
    query: &str,
    verify_cursor: impl FnOnce(&ListQuery, &str) -> Option<Position>,
) -> Result<ListQuery, ValidationErrors> {
    let mut errors = ValidationErrors::default();
    let status = parse_parameter(query, "status", parse_name::<Status>);
    let sort = parse_parameter(query, "sort", parse_name::<Sort>);
    let limit = errors.check_optional("limit", parse_parameter(query, "limit", parse_limit));
    let mut parsed = ListQuery {
        status: errors.check_optional("status", status).unwrap_or_default(),
        sort: errors.check_optional("sort", sort).unwrap_or_default(),
        page: limit.map(|limit| Page { limit, after: None }),
    };
    let after = parse_parameter(query, "cursor", |cursor| {
        if parsed.page.is_none() {
            return Err(ErrorCode::Cursor.with("must come with a valid limit"));
        }
        let invalid = || ErrorCode::Cursor.with("must be one that came in a Link header for the same list");
        verify_cursor(&parsed, cursor).ok_or_else(invalid)
    });
    let after = errors.check_optional("cursor", after);
    if let Some(page) = &mut parsed.page {
        page.after = after;
    }
    errors.into_result(parsed)
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

/// Parses the value of a parameter, or returns `None` if the query does not contain it. A repeated parameter is an
/// error.
fn parse_parameter<T>(
    query: &str,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, ValidationError>,
) -> Option<Result<T, ValidationError>> {
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = at_most_one(values).transpose()?;
    Some(value.and_then(|(_, value)| parse(&value)))
}
