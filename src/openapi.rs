//! The description of the service for machines: OpenAPI 3.1, made of the constants and the problems that
//! the service itself works with. Must not know how any of it is done: no handler, no store.
//!
//! Built by functions over a table, not by attributes on the handlers: those would be longer than what
//! they describe, and each would have to be written once per contract.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::domain::{Page, Sort};
use crate::http::idempotency_key::MAX_KEY_LENGTH;
use crate::http::json_body::MAX_BODY_BYTES;
use crate::http::openapi::{components, service};
use crate::tasks::openapi::{operations, parameters, schemas};

/// As `/openapi.json` serves it, the subcommand `openapi` prints it, and `docs/openapi.json` keeps it.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &TEXT
}

fn document() -> Value {
    let responses = merged([operations::responses().into(), service::responses().into()]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "todo-backend",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The tasks of many users, each of whom sees only their own.",
            "description": description(),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this document came from" }],
        "tags": [
            {
                "name": operations::MINE,
                "description": "The tasks of the user whom the token names. Bad input is answered with 400.",
            },
            {
                "name": operations::NAMED,
                "description": "The same tasks, for frontends that name the user in the path. It has to be \
                    the token's user (else 403). Bad input is answered with 422.",
            },
            { "name": service::TAG, "description": "What needs no token." },
        ],
        "security": [{ "bearer": [] }],
        "paths": paths(&responses),
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The JWT that the frontend's sign-in gives, or `todo-backend token USER`.",
                },
            },
            "parameters": merged([components::parameters(), parameters::components()]),
            "headers": components::headers(),
            "responses": responses,
            "schemas": merged([components::schemas(), schemas::components()]),
        },
    })
}

/// What no schema can say.
fn description() -> String {
    format!(
        "Two contracts, one set of tasks: `/api/tasks` has the tasks of the token's user, and \
         `/api/{{user_id}}/tasks` has the same for frontends that name the user in the path.\n\
         \n\
         **Errors.** Every answer from 400 on is a problem (RFC 9457): `detail` says in one sentence what \
         to change, `errors` names every wrong field of a bad input, and `request_id` is what to quote in \
         a report. An unknown address is 404; a method that an address does not have is 405, with `Allow`. \
         Under `/api/` both are told only to those who come with a valid token; all others get 401. What \
         does not come in time is 408, wherever it is sent to. Only bytes that cannot be read as HTTP at all \
         are answered with a bare status (400, or 431 for headers that are too long), without a body or an \
         `X-Request-Id`, and the connection ends.\n\
         \n\
         **Sorting.** `sort` is one of {sorts}. `created` is newest first, `title` is alphabetical order as \
         people read it (Apple, banana, cherry, éclair, Zebra), `due_date` is soonest first with the tasks \
         that have none last. Ties are broken by `id`.\n\
         \n\
         **Paging.** Without `limit` the whole list comes back, or a 503 when too many that are very long are \
         on their way already. With `limit` (1 to {max_limit}) the answer \
         has a header `Link: <…>; rel=\"next\"` as long as there is more: follow it as it is. Walking all \
         pages shows nothing twice and skips nothing that was there throughout, whatever others write \
         meanwhile. A cursor belongs to its user, `status` and `sort`; any other is bad input.\n\
         \n\
         **Preconditions.** Tasks and lists come with an `ETag`. Send it in `If-None-Match` to get 304 while \
         nothing has changed, and in `If-Match` to write only if nobody was faster (else 412).\n\
         \n\
         **Safe retries.** After a 503, a 408 or a lost connection a write may have taken place or not. \
         `PUT`, which changes what it names and nothing else, and `DELETE` may be repeated. \
         `PATCH …/complete` may be repeated with a \
         body that says which state to set. `POST` may be repeated with an `Idempotency-Key` (1 to \
         {max_key} printable ASCII characters, a UUID for example): the same key with the same payload is \
         answered with the first answer again (the task as it was then, with the `ETag` that it had), and makes no \
         second task; with another payload it is 422. \
         Keys are kept for 24 hours, per user. Of several requests with one key that come at once, one \
         makes the task and the others wait for its answer.\n\
         \n\
         **Bodies** are JSON in UTF-8 and at most {max_bytes} bytes long. Members that a client may not \
         set, and unknown ones, are ignored, so a task can be sent back as it came.\n\
         \n\
         **HEAD** works wherever `GET` does, and gives the same headers.",
        sorts = Sort::NAMES,
        max_limit = Page::MAX_LIMIT,
        max_key = MAX_KEY_LENGTH,
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

fn paths(responses: &Value) -> Value {
    let mut paths = operations::paths();
    paths.append(&mut service::paths());
    for item in paths.values_mut() {
        if let Some(head) = item.get("get").map(|get| head_of(get, responses)) {
            item["head"] = head;
        }
    }
    paths.into()
}

/// The same as `GET`, without the body.
fn head_of(get: &Value, responses: &Value) -> Value {
    let mut head = get.clone();
    head["operationId"] = json!(format!("{}Head", get["operationId"].as_str().unwrap_or_default()));
    head["summary"] = json!(format!(
        "{}: the headers alone",
        get["summary"].as_str().unwrap_or_default()
    ));
    if let Some(of_get) = head["responses"].as_object_mut() {
        for response in of_get.values_mut() {
            let whole = resolve(response, responses);
            let mut without_body = whole.clone();
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
