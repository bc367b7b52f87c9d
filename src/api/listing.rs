//! The query of a list: which tasks, in which order, and how many of them from where.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use url::form_urlencoded;

use super::contract::Contract;
use super::problem::ApiError;
use crate::domain::{Invalid, Listing, Page, Sort, Status};

impl FromRequest for Listing {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let listing = parse(request.query_string());
        ready(listing.map_err(|invalid| ApiError::BadInput(Contract::of(request), invalid)))
    }
}

/// Parameters that we do not know are ignored, as unknown fields of a body are.
fn parse(query: &str) -> Result<Listing, Invalid> {
    let mut invalid = Invalid::default();
    let status = parameter(query, "status")
        .map(|text| Status::parse(&text?).ok_or_else(|| format!("must be one of {}", Status::NAMES)));
    let sort = parameter(query, "sort")
        .map(|text| Sort::parse(&text?).ok_or_else(|| format!("must be one of {}", Sort::NAMES)));
    let limit = parameter(query, "limit").map(|text| limit(&text?));
    let listing = Listing {
        status: invalid.optional("status", status).unwrap_or_default(),
        sort: invalid.optional("sort", sort).unwrap_or_default(),
        page: invalid
            .optional("limit", limit)
            .map(|limit| Page { limit, after: None }),
    };
    invalid.or(listing)
}

fn limit(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|limit| digits && (1..=Page::MAX_LIMIT).contains(limit))
        .ok_or_else(|| format!("must be a whole number from 1 to {}", Page::MAX_LIMIT))
}

/// A parameter's value, decoded. Given twice it means nothing: which of the two counts is anybody's guess.
fn parameter<'a>(query: &'a str, name: &str) -> Option<Result<Cow<'a, str>, String>> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    Some(match values.next() {
        None => Ok(first),
        Some(_) => Err("must be given once".into()),
    })
}
