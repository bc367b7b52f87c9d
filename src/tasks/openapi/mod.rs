//! The parts of the OpenAPI document that describe tasks.

pub mod components;
pub mod operations;
