//! The operations that need no token: probes and documentation.

use serde_json::{Map, Value, json};

use super::problems::{self, INTERNAL, NO_SUCH_FILE, UNAVAILABLE};
use super::{component, headers, json_response, not_modified, parameter};
use crate::http::docs;

pub const TAG: &str = "Service";

pub fn paths() -> Map<String, Value> {
    let not_modified = component("responses", "NotModified");
    let health = |status: &str| {
        json_response(
            "The check succeeded.",
            &[],
            "Health",
            &json!({ "status": status }),
        )
    };
    let mut paths = Map::new();
    let to_docs = json!({
        "description": "Redirects to the documentation page.",
        "headers": headers(&["Location"]),
    });
    paths.insert(
        "/".into(),
        open(
            "home",
            "Redirect to the documentation",
            &[],
            json!({ "303": to_docs }),
        ),
    );
    paths.insert(
        "/livez".into(),
        open(
            "livez",
            "Check whether the process is alive",
            &[],
            json!({ "200": health("alive") }),
        ),
    );
    let mut ready = problems::responses(&[&INTERNAL, &UNAVAILABLE]);
    ready.insert("200".into(), health("ready"));
    paths.insert(
        "/readyz".into(),
        open(
            "readyz",
            "Check whether the service can handle requests",
            &[],
            ready.into(),
        ),
    );
    let document = file(
        "The OpenAPI document.",
        &["application/json"],
        &json!({ "type": "object" }),
    );
    paths.insert(
        "/openapi.json".into(),
        open(
            "openapi",
            "Read this document",
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
            "Open Swagger UI, to read this document and try the service",
            &["IfNoneMatch"],
            json!({ "200": page, "304": not_modified }),
        ),
    );
    let mut files = open(
        "docsFile",
        "Read a file of that page",
        &["IfNoneMatch"],
        json!({
            "200": file("The file.", &["text/css", "text/javascript"], &text),
            "304": not_modified,
            "404": component("responses", NO_SUCH_FILE.problem().component),
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

/// The responses that these operations refer to.
pub fn responses() -> Map<String, Value> {
    let mut responses = problems::components(&[&NO_SUCH_FILE, &INTERNAL, &UNAVAILABLE]);
    responses.insert("NotModified".into(), not_modified(&["ETag"]));
    responses
}

/// A static file in one of these media types.
fn file(description: &str, media_types: &[&str], schema: &Value) -> Value {
    let content: Map<String, Value> = media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
        .collect();
    json!({ "description": description, "headers": headers(&["ETag"]), "content": content })
}

/// An operation that needs no token.
fn open(id: &str, summary: &str, parameters: &[&str], responses: Value) -> Value {
    let parameters = parameters.iter().chain(&["XRequestId", "Traceparent"]);
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
