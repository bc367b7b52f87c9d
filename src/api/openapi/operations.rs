//! The table of operations, and how a row of it becomes a part of the document. Must not know the shapes
//! that go in and out, but by their names.

use serde_json::{Map, Value, json};

use super::parameters::parameter;
use super::responses::{self, Failure, of_failures, with_body};
use super::schemas::{example, schema};
use super::{component, service};
use crate::api::contract::Contract;

pub const MINE: &str = "My tasks";
pub const NAMED: &str = "A named user's tasks";

/// One operation on tasks, for both contracts.
struct Operation {
    /// Where, below the contract's collection.
    path: &'static str,
    method: &'static str,
    /// A verb, and whether it is of one task or of many.
    id: (&'static str, &'static str),
    summary: &'static str,
    parameters: &'static [&'static str],
    body: Option<Body>,
    /// By status, the names of responses. 201 alone has none: it differs between the contracts.
    success: &'static [(u16, &'static str)],
    /// Besides those that every operation and every body may end in.
    failures: &'static [Failure],
    /// Whether the query or a header can be wrong where there is no body.
    can_be_wrong: bool,
}

struct Body {
    shape: &'static str,
    required: bool,
    example: fn() -> Value,
}

const ID: &str = "/{id}";
const COMPLETE: &str = "/{id}/complete";

const OPERATIONS: [Operation; 6] = [
    Operation {
        path: "",
        method: "get",
        id: ("list", "Tasks"),
        summary: "List tasks",
        parameters: &["Status", "Sort", "Limit", "Cursor", "IfNoneMatch"],
        body: None,
        success: &[(200, "Tasks"), (304, "TasksNotModified")],
        failures: &[],
        can_be_wrong: true,
    },
    Operation {
        path: "",
        method: "post",
        id: ("create", "Task"),
        summary: "Create a task",
        parameters: &["IdempotencyKey"],
        body: Some(Body {
            shape: "NewTask",
            required: true,
            example: || json!({ "title": "Buy milk", "description": "Two bottles", "due_date": "2026-01-09" }),
        }),
        success: &[],
        failures: &[Failure::KeyReused],
        can_be_wrong: true,
    },
    Operation {
        path: ID,
        method: "get",
        id: ("get", "Task"),
        summary: "Read a task",
        parameters: &["IfNoneMatch"],
        body: None,
        success: &[(200, "Task"), (304, "TaskNotModified")],
        failures: &[Failure::NoSuchTask],
        can_be_wrong: false,
    },
    Operation {
        path: ID,
        method: "put",
        id: ("update", "Task"),
        summary: "Change a task",
        parameters: &["IfMatch"],
        body: Some(Body {
            shape: "TaskChanges",
            required: true,
            example: || json!({ "title": "Buy oat milk", "due_date": null }),
        }),
        success: &[(200, "Task")],
        failures: &[Failure::NoSuchTask, Failure::Outdated],
        can_be_wrong: true,
    },
    Operation {
        path: ID,
        method: "delete",
        id: ("delete", "Task"),
        summary: "Delete a task",
        parameters: &["IfMatch"],
        body: None,
        success: &[(204, "Deleted")],
        failures: &[Failure::NoSuchTask, Failure::Outdated],
        can_be_wrong: false,
    },
    Operation {
        path: COMPLETE,
        method: "patch",
        id: ("complete", "Task"),
        summary: "Flip a task's state, or set it",
        parameters: &["IfMatch"],
        body: Some(Body {
            shape: "Completion",
            required: false,
            example: || json!({ "completed": true }),
        }),
        success: &[(200, "Task")],
        failures: &[Failure::NoSuchTask, Failure::Outdated],
        can_be_wrong: true,
    },
];

pub fn paths() -> Value {
    let mut paths = Map::new();
    for contract in [Contract::A, Contract::B] {
        for operation in &OPERATIONS {
            let path = format!("{}{}", collection(contract), operation.path);
            let item = paths
                .entry(path)
                .or_insert_with(|| json!({ "parameters": in_path(contract, operation.path) }));
            item[operation.method] = operation.describe(contract);
        }
    }
    paths.append(&mut service::paths());
    for item in paths.values_mut() {
        if let Some(head) = item.get("get").map(head_of) {
            item["head"] = head;
        }
    }
    paths.into()
}

fn collection(contract: Contract) -> &'static str {
    match contract {
        Contract::A => "/api/tasks",
        Contract::B => "/api/{user_id}/tasks",
    }
}

fn in_path(contract: Contract, below: &str) -> Vec<Value> {
    let user = (contract == Contract::B).then_some("UserId");
    let task = (!below.is_empty()).then_some("TaskId");
    user.into_iter().chain(task).map(parameter).collect()
}

impl Operation {
    fn describe(&self, contract: Contract) -> Value {
        let parameters = self.parameters.iter().chain(&["XRequestId"]);
        let mut described = json!({
            "operationId": operation_id(self.id, contract),
            "tags": [if contract == Contract::A { MINE } else { NAMED }],
            "summary": self.summary,
            "parameters": parameters.map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": self.responses(contract),
        });
        if let Some(body) = &self.body {
            described["requestBody"] = json!({
                "required": body.required,
                "content": { "application/json": { "schema": schema(body.shape), "example": (body.example)() } },
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
        let failures = self.failures(contract);
        for failure in &failures {
            let status = failure.status();
            let same: Vec<_> = failures
                .iter()
                .copied()
                .filter(|other| other.status() == status)
                .collect();
            responses.insert(status.to_string(), of_failures(&same));
        }
        responses.into()
    }

    fn failures(&self, contract: Contract) -> Vec<Failure> {
        use Failure::*;
        let mut failures = vec![
            Unauthenticated,
            RateLimited,
            HeadersTooLarge,
            Internal,
            Unavailable,
        ];
        if contract == Contract::B {
            failures.push(OtherUser);
        }
        if self.can_be_wrong {
            failures.push(BadInput(contract));
        }
        if self.body.is_some() {
            failures.extend([BodyCutOff, BodyTooSlow, TooLarge, MediaType]);
        }
        failures.extend(self.failures);
        failures
    }
}

fn operation_id((verb, noun): (&str, &str), contract: Contract) -> String {
    let of = if contract == Contract::A { "" } else { "OfUser" };
    format!("{verb}{noun}{of}")
}

/// Says by links what the new task's id is good for.
fn created(contract: Contract) -> Value {
    let mut task = with_body(
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

/// The same as `GET` without what it would bring.
fn head_of(get: &Value) -> Value {
    let mut head = get.clone();
    head["operationId"] = json!(format!("{}Head", get["operationId"].as_str().unwrap_or_default()));
    head["summary"] = json!(format!(
        "{}: the headers alone",
        get["summary"].as_str().unwrap_or_default()
    ));
    if let Some(responses) = head["responses"].as_object_mut() {
        for response in responses.values_mut() {
            let whole = resolve(response);
            *response = json!({ "description": whole["description"], "headers": whole["headers"] });
        }
    }
    head
}

fn resolve(response: &Value) -> Value {
    let name = response["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next());
    match name {
        Some(name) => responses::components()[name].take(),
        None => response.clone(),
    }
}
