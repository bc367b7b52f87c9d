//! The table of operations on tasks, and the functions that generate parts of the OpenAPI document from it.

use serde_json::{Map, Value, json};

use super::components::example;
use crate::http::contract::Contract;
use crate::http::error::ApiError;
use crate::http::openapi::problems::{
    self, BODY_TOO_LARGE, INTERNAL, INVALID_TOKEN, RATE_LIMITED, UNAUTHENTICATED, UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE, bad_input,
};
use crate::http::openapi::{component, headers, json_response, not_modified, parameter, schema};
use crate::tasks::request::NO_SUCH_TASK as MISSING;

pub const TAG_A: &str = "My tasks";
pub const TAG_B: &str = "A named user's tasks";

/// One operation on tasks, for both contracts.
struct Operation {
    /// The part of the path that follows the path of the contract's collection.
    path: &'static str,
    method: &'static str,
    /// The verb and the noun that form the operation id.
    id: (&'static str, &'static str),
    summary: &'static str,
    parameters: &'static [&'static str],
    body: Option<Body>,
    /// The successful responses: each status with the name of a response component. A 201 is not listed, because its
    /// response depends on the contract.
    success: &'static [(u16, &'static str)],
}

struct Body {
    schema: &'static str,
    required: bool,
    example: fn() -> Value,
}

static NO_SUCH_TASK: ApiError = ApiError::NotFound(&MISSING);

const ID: &str = "/{id}";
const COMPLETE: &str = "/{id}/complete";

static OPERATIONS: [Operation; 6] = [
    Operation {
        path: "",
        method: "get",
        id: ("list", "Tasks"),
        summary: "List tasks",
        parameters: &["Status", "Sort", "Limit", "Cursor", "IfNoneMatch"],
        body: None,
        success: &[(200, "Tasks"), (304, "TasksNotModified")],
    },
    Operation {
        path: "",
        method: "post",
        id: ("create", "Task"),
        summary: "Create a task",
        parameters: &["IdempotencyKey"],
        body: Some(Body {
            schema: "NewTask",
            required: true,
            example: || json!({ "title": "Buy milk", "description": "Two bottles", "due_date": "2026-01-09" }),
        }),
        success: &[],
    },
    Operation {
        path: ID,
        method: "get",
        id: ("get", "Task"),
        summary: "Read a task",
        parameters: &["IfNoneMatch"],
        body: None,
        success: &[(200, "Task"), (304, "TaskNotModified")],
    },
    Operation {
        path: ID,
        method: "put",
        id: ("update", "Task"),
        summary: "Change a task",
        parameters: &["IfMatch"],
        body: Some(Body {
            schema: "TaskChanges",
            required: true,
            example: || json!({ "title": "Buy oat milk", "due_date": null }),
        }),
        success: &[(200, "Task")],
    },
    Operation {
        path: ID,
        method: "delete",
        id: ("delete", "Task"),
        summary: "Delete a task",
        parameters: &["IfMatch"],
        body: None,
        success: &[(204, "Deleted")],
    },
    Operation {
        path: COMPLETE,
        method: "patch",
        id: ("complete", "Task"),
        summary: "Flip or set a task's state",
        parameters: &["IfMatch"],
        body: Some(Body {
            schema: "Completion",
            required: false,
            example: || json!({ "completed": true }),
        }),
        success: &[(200, "Task")],
    },
];

pub fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for contract in [Contract::A, Contract::B] {
        for operation in &OPERATIONS {
            let path = format!("{}{}", collection(contract), operation.path);
            let item = paths
                .entry(path)
                .or_insert_with(|| json!({ "parameters": path_parameters(contract, operation.path) }));
            item[operation.method] = operation.describe(contract);
        }
    }
    paths
}

fn collection(contract: Contract) -> &'static str {
    match contract {
        Contract::A => "/api/tasks",
        Contract::B => "/api/{user_id}/tasks",
    }
}

fn path_parameters(contract: Contract, below: &str) -> Vec<Value> {
    let user = (contract == Contract::B).then_some("UserId");
    let task = (!below.is_empty()).then_some("TaskId");
    user.into_iter().chain(task).map(parameter).collect()
}

impl Operation {
    fn describe(&self, contract: Contract) -> Value {
        let parameters = self.parameters.iter().chain(&["XRequestId", "Traceparent"]);
        let mut described = json!({
            "operationId": operation_id(self.id, contract),
            "tags": [if contract == Contract::A { TAG_A } else { TAG_B }],
            "summary": self.summary,
            "parameters": parameters.map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": self.responses(contract),
        });
        if let Some(body) = &self.body {
            described["requestBody"] = json!({
                "required": body.required,
                "content": { "application/json": { "schema": schema(body.schema), "example": (body.example)() } },
            });
        }
        described
    }

    fn responses(&self, contract: Contract) -> Value {
        let mut responses = Map::new();
        for (status, name) in self.success {
            responses.insert(status.to_string(), component("responses", name));
        }
        if self.success.is_empty() {
            responses.insert("201".into(), created(contract));
        }
        let bad_input = bad_input(contract);
        responses.extend(problems::responses(&self.errors(contract, &bad_input)));
        responses.insert("431".into(), component("responses", "HeadersTooLarge"));
        responses.into()
    }

    fn errors<'a>(&self, contract: Contract, bad_input: &'a ApiError) -> Vec<&'a ApiError> {
        let mut errors = vec![
            &UNAUTHENTICATED,
            &INVALID_TOKEN,
            &RATE_LIMITED,
            &INTERNAL,
            &UNAVAILABLE,
        ];
        if contract == Contract::B {
            errors.push(&ApiError::OtherUser);
        }
        // Besides bodies, the parameters of the collection's operations are validated.
        if self.path.is_empty() || self.body.is_some() {
            errors.push(bad_input);
        }
        if self.body.is_some() {
            errors.extend([
                &ApiError::BodyCutOff,
                &ApiError::RequestTimeout,
                &BODY_TOO_LARGE,
                &UNSUPPORTED_MEDIA_TYPE,
            ]);
        }
        if !self.path.is_empty() {
            errors.push(&NO_SUCH_TASK);
        }
        if self.parameters.contains(&"IfMatch") {
            errors.push(&ApiError::PreconditionFailed);
        }
        if self.parameters.contains(&"IdempotencyKey") {
            errors.push(&ApiError::IdempotencyKeyReused);
        }
        errors
    }
}

fn operation_id((verb, noun): (&str, &str), contract: Contract) -> String {
    let of = if contract == Contract::A { "" } else { "OfUser" };
    format!("{verb}{noun}{of}")
}

/// The 201 of `createTask`. Its links tell clients which operations accept the id of the new task.
fn created(contract: Contract) -> Value {
    let mut task = json_response(
        "The new task.",
        &["ETag", "Cache-Control", "Location"],
        "Task",
        &json!(example()),
    );
    let mut parameters = json!({ "id": "$response.body#/id" });
    if contract == Contract::B {
        parameters["user_id"] = json!("$request.path.user_id");
    }
    for operation in OPERATIONS.iter().filter(|operation| !operation.path.is_empty()) {
        task["links"][operation.id.0] = json!({
            "operationId": operation_id(operation.id, contract),
            "parameters": parameters,
        });
    }
    task
}

/// The response components that the operations refer to.
pub fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for contract in [Contract::A, Contract::B] {
        let bad_input = bad_input(contract);
        let errors = OPERATIONS
            .iter()
            .flat_map(|operation| operation.errors(contract, &bad_input));
        responses.extend(problems::components(&errors.collect::<Vec<_>>()));
    }
    let task = json!(example());
    let list_headers = ["ETag", "Cache-Control", "Link"];
    let item_headers = ["ETag", "Cache-Control"];
    for (name, response) in [
        (
            "Tasks",
            json_response("The tasks.", &list_headers, "Tasks", &json!([task])),
        ),
        ("Task", json_response("The task.", &item_headers, "Task", &task)),
        (
            "Deleted",
            json!({ "description": "The task was deleted.", "headers": headers(&[]) }),
        ),
        (
            "HeadersTooLarge",
            json!({ "description": "There are too many headers, or they are too long. This response comes from the HTTP \
                parser: it has no body and no `X-Request-Id`, and the connection is closed." }),
        ),
        ("TaskNotModified", not_modified(&item_headers)),
        ("TasksNotModified", not_modified(&list_headers)),
    ] {
        responses.insert(name.into(), response);
    }
    responses
}
