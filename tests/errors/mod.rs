//! Errors that belong to no single call: each is a problem, whatever went wrong and where.

mod codes;
mod malformed;
mod media_types;
mod methods;
mod routes;
mod sizes;
mod unavailable;
