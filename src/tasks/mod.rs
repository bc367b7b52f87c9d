//! The resource: what clients send, what is done with it, and what they get back.

mod cursor;
pub mod handlers;
mod long_list;
pub mod openapi;
mod query;
mod request;
pub mod response;

pub use self::cursor::ListCursors;
