//! The OpenAPI 3.1 document. Its limits and error responses come from the constants and error types of the service.
//!
//! The document is built from tables and not from attributes on the handlers. Such attributes would be longer than the
//! handlers, and would be necessary once for each contract.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use strum::VariantNames as _;

use crate::domain::{Page, Sort};
use crate::http::contract::Contract;
use crate::http::idempotency_key::MAX_KEY_CHARS;
use crate::http::json_body::MAX_BODY_BYTES;
use crate::http::openapi::{components, service};
use crate::tasks::openapi::{components as task_components, operations};

/// The document, which `/openapi.json` serves. `docs/openapi.json` is a copy.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &TEXT
}

fn document() -> Value {
    let mut responses = operations::responses();
    let paths = paths(&mut responses);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "todo-backend",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A todo list for many users, each of whom sees only their own tasks.",
            "description": description(),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The server that this document was loaded from" }],
        "tags": [
            {
                "name": operations::TAG_A,
                "description": "The tasks of the token's user. Invalid input is answered with 400.",
            },
            {
                "name": operations::TAG_B,
                "description": "The same tasks, for frontends that send the user id in the path. It must be the id of \
                    the token's user (otherwise 403). Invalid input is answered with 422.",
            },
            { "name": service::TAG, "description": "Operations that need no token." },
        ],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The JWT that the frontend's sign-in issues, or one from `todo-backend token USER`.",
                },
            },
            "parameters": merged([components::parameters(), task_components::parameters()]),
            "headers": components::headers(),
            "responses": responses,
            "schemas": merged([components::schemas(), task_components::schemas()]),
        },
    })
}

/// The description of the rules that schemas cannot express.
fn description() -> String {
    format!(
        "There are two contracts for the same tasks: `/api/tasks` has the tasks of the token's user, and \
         `/api/{{user_id}}/tasks` has the same tasks for frontends that send the user id in the path.\n\
         \n\
         **Errors.** Every response with a status of 400 or above is a problem (RFC 9457): `detail` says in one \
         sentence what to change, `errors` lists every invalid field, and `request_id` identifies the request \
         in a report. The status is 404 for an unknown path and 405, with `Allow`, for a method that a path does \
         not support; under `/api/`, both require a valid token, and without one the status is 401. A request \
         that does not arrive in time is answered with 408, whatever its path. Only bytes that are not valid HTTP \
         are answered without a body and an `X-Request-Id` (with 400, or 431 if the headers are too long), and \
         the connection is closed.\n\
         \n\
         **Sorting.** `sort` is one of {sorts}. `created` is newest first; `title` is the alphabetical order of \
         the Unicode collation (Apple, banana, cherry, éclair, Zebra); `due_date` is soonest first, followed by \
         the tasks without a due date. Ties are broken by `id`.\n\
         \n\
         **Paging.** Without `limit`, the response contains the whole list, or is a 503 if too many very long lists \
         are being sent. With `limit` (1 to {max_limit}), the response has a header `Link: <…>; rel=\"next\"` as \
         long as more tasks follow: use its URL unchanged. Following these links returns no task twice and skips no \
         task that exists during the whole time, whatever is created or deleted meanwhile. A cursor is only valid \
         for its user, `status` and `sort`; any other is invalid input.\n\
         \n\
         **Preconditions.** Tasks and lists have an `ETag`. Send it in `If-None-Match` to get a 304 if nothing has \
         changed, and in `If-Match` to change a task only if nobody else has changed it (otherwise 412).\n\
         \n\
         **Safe retries.** After a 503, a 408 or a lost connection, a write may or may not have taken place. `PUT`, \
         which changes only the members that are sent, and `DELETE` can be repeated. `PATCH …/complete` can be \
         repeated with a body that contains the value to set. `POST` can be repeated with an `Idempotency-Key` (1 to \
         {max_key} printable ASCII characters, such as a UUID): the same key with the same payload returns the \
         first response again (the task as it was then, with its `ETag`) and creates no second task; with another \
         payload, the status is 422. Keys are stored for 24 hours, per user. If several requests with the same key \
         arrive at the same time, one creates the task and the others wait for its response.\n\
         \n\
         **Bodies** are JSON in UTF-8 with at most {max_bytes} bytes. Unknown members, and those that a client may \
         not set, are ignored, so a task can be sent back as it was received.\n\
         \n\
         **HEAD** is supported wherever `GET` is, and returns the same headers.",
        sorts = Sort::VARIANTS.join(", "),
        max_limit = Page::MAX_LIMIT,
        max_key = MAX_KEY_CHARS,
        max_bytes = MAX_BODY_BYTES,
    )
}

fn merged<const N: usize>(objects: [Value; N]) -> Value {
    let members = objects.into_iter().flat_map(|object| match object {
        Value::Object(members) => members,
        _ => Map::new(),
    });
    Value::Object(members.collect())
}

fn paths(responses: &mut Value) -> Value {
    let contracts = [Contract::A, Contract::B].map(|contract| operations::paths(contract, responses));
    let mut paths = merged([merged(contracts), service::paths(responses)]);
    for item in paths.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(head) = item.get("get").map(|get| head_of(get, responses)) {
            item["head"] = head;
        }
    }
    paths
}

fn head_of(get: &Value, responses: &Value) -> Value {
    let mut head = get.clone();
    head["operationId"] = json!(format!("{}Head", get["operationId"].as_str().unwrap_or_default()));
    head["summary"] = json!(format!(
        "{} (headers only)",
        get["summary"].as_str().unwrap_or_default()
    ));
    if let Some(of_get) = head["responses"].as_object_mut() {
        for response in of_get.values_mut() {
            let mut without_body = resolve(response, responses).clone();
            if let Some(members) = without_body.as_object_mut() {
                members.retain(|name, _| name == "description" || name == "headers");
            }
            *response = without_body;
        }
    }
    head
}

fn resolve<'a>(response: &'a Value, responses: &'a Value) -> &'a Value {
    let name = response["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next());
    match name {
        Some(name) => &responses[name],
        None => response,
    }
}
