//! Error responses. Each is a problem document, except those to requests that are not valid HTTP.

mod codes;
mod malformed;
mod media_types;
mod methods;
mod routes;
mod sizes;
mod unavailable;
