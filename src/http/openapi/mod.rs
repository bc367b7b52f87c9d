//! What the OpenAPI document says that has nothing to do with tasks.

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

/// `X-Request-Id`, which every response has, and these headers.
pub fn headers(names: &[&str]) -> Value {
    let names = ["X-Request-Id"].into_iter().chain(names.iter().copied());
    names
        .map(|name| (name.to_owned(), component("headers", name)))
        .collect::<Map<_, _>>()
        .into()
}

/// A response with a body of JSON.
pub fn json_response(description: &str, header_names: &[&str], schema_name: &str, example: &Value) -> Value {
    json!({
        "description": description,
        "headers": headers(header_names),
        "content": { "application/json": { "schema": schema(schema_name), "example": example } },
    })
}

pub fn not_modified(header_names: &[&str]) -> Value {
    json!({ "description": "What the client has is still right.", "headers": headers(header_names) })
}
