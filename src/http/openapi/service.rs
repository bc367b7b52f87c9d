//! The operations that need no token: probes, documentation and the redirect to it.

use serde_json::{Map, Value, json};

use super::{component, headers, json_response, not_modified, parameter, problems};
use crate::http::docs;
use crate::http::error::{ApiError, NO_SUCH_ROUTE};

pub const TAG: &str = "Service";

/// The paths of these operations. The responses that they refer to are added to `components`.
pub fn paths(components: &mut Value) -> Value {
    components["NotModified"] = not_modified(&["ETag"]);
    // No operation refers to this response, because it is the response to methods for which there is no operation.
    let wrong_method = ApiError::MethodNotAllowed {
        allow: "GET, HEAD, POST",
    };
    components["WrongMethod"] = problems::response(&[&wrong_method]);
    let health = |status: &str| {
        let example = json!({ "status": status });
        json_response("The check succeeded.", &[], "Health", &example)
    };
    let mut ready = problems::responses(&problems::of_service(), components);
    ready.insert("200".into(), health("ready"));
    let redirect = json!({
        "description": "Redirects to the documentation page.",
        "headers": headers(&["Location"]),
    });
    let (object, text) = (json!({ "type": "object" }), json!({ "type": "string" }));
    let document = file("The OpenAPI document.", &["application/json"], &object);
    let page = file("The page.", &["text/html"], &text);
    let script = file("The file.", &["text/css", "text/javascript"], &text);
    let not_modified = component("responses", "NotModified");
    let mut for_file = problems::responses(&[ApiError::NotFound(&NO_SUCH_ROUTE)], components);
    for_file.extend([("200".into(), script), ("304".into(), not_modified.clone())]);
    let cached = &["IfNoneMatch"];
    let mut paths = json!({
        "/": open("home", "Redirect to the documentation", &[], json!({ "303": redirect })),
        "/livez": open("livez", "Check whether the process is alive", &[], json!({ "200": health("alive") })),
        "/readyz": open("readyz", "Check whether the service can handle requests", &[], ready.into()),
        "/openapi.json": open("openapi", "Read this document", cached, json!({ "200": document, "304": not_modified })),
        "/docs": open(
            "docs", "Open Swagger UI, to read this document and try the service", cached,
            json!({ "200": page, "304": not_modified }),
        ),
        "/docs/{file}": open("docsFile", "Read a file of that page", cached, for_file.into()),
    });
    paths["/docs/{file}"]["parameters"] = json!([{
        "name": "file",
        "in": "path",
        "required": true,
        "schema": { "type": "string", "enum": docs::FILES.each_ref().map(|(name, _)| name) },
        "example": docs::FILES[0].0,
    }]);
    paths
}

/// Describes a response that contains a static file with one of these media types.
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
