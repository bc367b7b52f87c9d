//! The parts of the OpenAPI document that describe tasks.

pub mod operations;
pub mod parameters;
pub mod schemas;
