//! Errors that can occur on every route. Each response is a problem document.

mod codes;
mod malformed;
mod media_types;
mod methods;
mod routes;
mod sizes;
mod unavailable;
