//! The tasks resource: its requests, handlers, responses and OpenAPI description.

mod cursor;
pub mod handlers;
mod long_list;
pub mod openapi;
mod query;
mod request;
pub mod response;

pub use self::cursor::ListCursors;
