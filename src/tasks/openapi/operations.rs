//! The operations on tasks in the OpenAPI document, each of which both contracts have.

use serde_json::{Value, json};

use super::components::example;
use crate::http::contract::Contract;
use crate::http::error::ApiError;
use crate::http::openapi::problems::{self, bad_input};
use crate::http::openapi::{component, headers, json_response, not_modified, parameter, schema};
use crate::tasks::request::NO_SUCH_TASK;

pub const TAG_A: &str = "My tasks";
pub const TAG_B: &str = "A named user's tasks";

/// The paths of a contract. The responses that the operations refer to are added to `components`.
pub fn paths(contract: Contract, components: &mut Value) -> Value {
    let (collection, of_collection, of_item) = match contract {
        Contract::A => ("/api/tasks", vec![], vec![parameter("TaskId")]),
        Contract::B => (
            "/api/{user_id}/tasks",
            vec![parameter("UserId")],
            vec![parameter("UserId"), parameter("TaskId")],
        ),
    };
    let (item, complete) = (
        format!("{collection}/{{id}}"),
        format!("{collection}/{{id}}/complete"),
    );
    let new = json!({ "title": "Buy milk", "description": "Two bottles", "due_date": "2026-01-09" });
    let changes = json!({ "title": "Buy oat milk", "due_date": null });
    let completion = json!({ "completed": true });
    let mut operation = |operation: Operation| operation.describe(contract, components);
    json!({
        collection: {
            "parameters": of_collection,
            "get": operation(Operation {
                id: "listTasks", summary: "List tasks",
                parameters: &["Status", "Sort", "Limit", "Cursor", "IfNoneMatch"],
                body: None, success: &[("200", "Tasks"), ("304", "TasksNotModified")],
            }),
            "post": operation(Operation {
                id: "createTask", summary: "Create a task", parameters: &["IdempotencyKey"],
                body: Some(("NewTask", new)), success: &[],
            }),
        },
        item: {
            "parameters": of_item,
            "get": operation(Operation {
                id: "getTask", summary: "Read a task", parameters: &["IfNoneMatch"],
                body: None, success: &[("200", "Task"), ("304", "TaskNotModified")],
            }),
            "put": operation(Operation {
                id: "updateTask", summary: "Change a task", parameters: &["IfMatch"],
                body: Some(("TaskChanges", changes)), success: &[("200", "Task")],
            }),
            "delete": operation(Operation {
                id: "deleteTask", summary: "Delete a task", parameters: &["IfMatch"],
                body: None, success: &[("204", "Deleted")],
            }),
        },
        complete: {
            "parameters": of_item,
            "patch": operation(Operation {
                id: "completeTask", summary: "Flip or set a task's state", parameters: &["IfMatch"],
                body: Some(("Completion", completion)), success: &[("200", "Task")],
            }),
        },
    })
}

struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: &'static [&'static str],
    /// The schema and an example.
    body: Option<(&'static str, Value)>,
    /// The successful responses: each status with the name of a response component. A 201 is not listed, because its
    /// response depends on the contract.
    success: &'static [(&'static str, &'static str)],
}

impl Operation {
    fn describe(self, contract: Contract, components: &mut Value) -> Value {
        let mut responses = problems::responses(&self.errors(contract), components);
        responses.insert("431".into(), component("responses", "HeadersTooLarge"));
        for (status, name) in self.success {
            responses.insert((*status).into(), component("responses", name));
        }
        if self.success.is_empty() {
            responses.insert("201".into(), created(contract));
        }
        let parameters = self.parameters.iter().chain(&["XRequestId", "Traceparent"]);
        let mut described = json!({
            "operationId": operation_id(self.id, contract),
            "tags": [if contract == Contract::A { TAG_A } else { TAG_B }],
            "summary": self.summary,
            "parameters": parameters.map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": responses,
        });
        if let Some((name, example)) = self.body {
            described["requestBody"] = json!({
                "required": name != "Completion",
                "content": { "application/json": { "schema": schema(name), "example": example } },
            });
        }
        described
    }

    fn errors(&self, contract: Contract) -> Vec<ApiError> {
        let mut errors = problems::of_api();
        if contract == Contract::B {
            errors.push(ApiError::OtherUser);
        }
        // Besides bodies, the parameters of the collection's operations are validated.
        let is_of_item = !matches!(self.id, "listTasks" | "createTask");
        if !is_of_item || self.body.is_some() {
            errors.push(bad_input(contract));
        }
        if self.body.is_some() {
            errors.extend(problems::of_bodies());
        }
        if is_of_item {
            errors.push(ApiError::NotFound(&NO_SUCH_TASK));
        }
        if self.parameters.contains(&"IfMatch") {
            errors.push(ApiError::PreconditionFailed);
        }
        if self.parameters.contains(&"IdempotencyKey") {
            errors.push(ApiError::IdempotencyKeyReused);
        }
        errors
    }
}

fn operation_id(id: &str, contract: Contract) -> String {
    let of = if contract == Contract::A { "" } else { "OfUser" };
    format!("{id}{of}")
}

/// The 201 of `createTask`. Its links tell clients which operations accept the id of the new task.
fn created(contract: Contract) -> Value {
    let mut task = json_response(
        "The new task.",
        &["ETag", "Cache-Control", "Location"],
        "Task",
        &example(),
    );
    let mut parameters = json!({ "id": "$response.body#/id" });
    if contract == Contract::B {
        parameters["user_id"] = json!("$request.path.user_id");
    }
    for verb in ["get", "update", "delete", "complete"] {
        let id = operation_id(&format!("{verb}Task"), contract);
        task["links"][verb] = json!({ "operationId": id, "parameters": parameters });
    }
    task
}

/// The responses without errors, except for the 201.
pub fn responses() -> Value {
    let list_headers = ["ETag", "Cache-Control", "Link"];
    let item_headers = ["ETag", "Cache-Control"];
    json!({
        "Tasks": json_response("The tasks.", &list_headers, "Tasks", &json!([example()])),
        "Task": json_response("The task.", &item_headers, "Task", &example()),
        "Deleted": { "description": "The task was deleted.", "headers": headers(&[]) },
        "HeadersTooLarge": {
            "description": "There are too many headers, or they are too long. This response comes from the HTTP \
                parser: it has no body and no `X-Request-Id`, and the connection is closed.",
        },
        "TaskNotModified": not_modified(&item_headers),
        "TasksNotModified": not_modified(&list_headers),
    })
}
