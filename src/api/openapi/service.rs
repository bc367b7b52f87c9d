//! The operations that need no token: probes, and what the service says of itself. Must not know anything of
//! tasks.

use serde_json::{Map, Value, json};

use super::component;
use super::parameters::parameter;
use super::responses::{Failure, file, of_failures, references, with_body};
use crate::api::docs;

pub const TAG: &str = "Service";

pub fn paths() -> Map<String, Value> {
    let not_modified = component("responses", "NotModified");
    let health = |status: &str| with_body("Yes.", &[], "Health", &json!({ "status": status }));
    let mut paths = Map::new();
    let to_docs = json!({
        "description": "To the page for people.",
        "headers": references(&["Location"]),
    });
    paths.insert(
        "/".into(),
        open("home", "Where to begin", &[], json!({ "303": to_docs })),
    );
    paths.insert(
        "/livez".into(),
        open(
            "livez",
            "Does the process live?",
            &[],
            json!({ "200": health("alive") }),
        ),
    );
    let ready = json!({
        "200": health("ready"),
        "500": of_failures(&[Failure::Internal]),
        "503": of_failures(&[Failure::Unavailable]),
    });
    paths.insert("/readyz".into(), open("readyz", "Can it serve?", &[], ready));
    let document = file(
        "The document.",
        &["application/json"],
        &json!({ "type": "object" }),
    );
    paths.insert(
        "/openapi.json".into(),
        open(
            "openapi",
            "This document",
            &["IfNoneMatch"],
            json!({ "200": document, "304": not_modified }),
        ),
    );
    let text = json!({ "type": "string" });
    let page = file("The page.", &["text/html"], &text);
    paths.insert(
        "/docs".into(),
        open(
            "docs",
            "A page to read this document on, and to try the service with",
            &["IfNoneMatch"],
            json!({ "200": page, "304": not_modified }),
        ),
    );
    let mut files = open(
        "docsFile",
        "What that page loads",
        &["IfNoneMatch"],
        json!({
            "200": file("The file.", &["text/css", "text/javascript"], &text),
            "304": not_modified,
            "404": of_failures(&[Failure::NoSuchFile]),
        }),
    );
    files["parameters"] = json!([{
        "name": "file",
        "in": "path",
        "required": true,
        "schema": { "type": "string", "enum": docs::FILES },
        "example": docs::FILES[0],
    }]);
    paths.insert("/docs/{file}".into(), files);
    paths
}

fn open(id: &str, summary: &str, parameters: &[&str], responses: Value) -> Value {
    let parameters = parameters.iter().chain(&["XRequestId"]);
    json!({
        "get": {
            "operationId": id,
            "tags": [TAG],
            "summary": summary,
            "security": [],
            "parameters": parameters.map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": responses,
        },
    })
}
