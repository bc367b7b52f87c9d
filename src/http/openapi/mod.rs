//! The parts of the OpenAPI document that do not depend on tasks, and functions to build it.

pub mod components;
pub mod problems;
pub mod service;

use serde_json::{Map, Value, json};

/// A reference to a component of the document.
pub fn component(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

pub fn schema(name: &str) -> Value {
    component("schemas", name)
}

pub fn parameter(name: &str) -> Value {
    component("parameters", name)
}

/// The headers of a response: these and `X-Request-Id`, which every handler's response has.
pub fn headers(names: &[&str]) -> Value {
    let names = ["X-Request-Id"].into_iter().chain(names.iter().copied());
    names
        .map(|name| (name.to_owned(), component("headers", name)))
        .collect::<Map<_, _>>()
        .into()
}

pub fn json_response(description: &str, header_names: &[&str], schema_name: &str, example: &Value) -> Value {
    json!({
        "description": description,
        "headers": headers(header_names),
        "content": { "application/json": { "schema": schema(schema_name), "example": example } },
    })
}

pub fn not_modified(header_names: &[&str]) -> Value {
    json!({ "description": "The client's copy is up to date.", "headers": headers(header_names) })
}
