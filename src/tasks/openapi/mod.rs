//! What the OpenAPI document says of tasks.

pub mod operations;
pub mod parameters;
pub mod schemas;
