//! The extractors for requests about tasks: the id in the path, the bodies, and the idempotency key.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;
use futures_util::future::LocalBoxFuture;
use serde_json::value::RawValue;

use crate::domain::{
    Description, ErrorCode, NewTask, TaskChanges, TaskId, Timestamp, Title, ValidationError, ValidationErrors,
};
use crate::http::caller::owner;
use crate::http::contract::Contract;
use crate::http::error::{ApiError, NotFound};
use crate::http::json_body::{FromJson, JsonBody, JsonObject, not_null, parse_value};
use crate::http::{extractor, idempotency_key};
use crate::store::{IdempotencyKey, OwnedTasks};

pub static NO_SUCH_TASK: NotFound = NotFound {
    component: "NoSuchTask",
    description: "The user has no task with this id, or it is not a valid id.",
    detail: "You have no task with this id; list your tasks to see their ids.",
};

/// The id in the path. The extraction never fails. The handler refuses an invalid id after all other checks, so that
/// the response is the same as for the id of a task that does not exist.
pub struct TaskIdInPath(Option<TaskId>);

impl TaskIdInPath {
    pub fn get(&self) -> Result<TaskId, ApiError> {
        self.0.ok_or(ApiError::NotFound(&NO_SUCH_TASK))
    }
}

extractor!(TaskIdInPath, task_id);
extractor!(OwnedTasks, owned_tasks);

#[expect(clippy::unnecessary_wraps, reason = "`extractor!` needs a result")]
fn task_id(request: &HttpRequest) -> Result<TaskIdInPath, ApiError> {
    let text = request.match_info().get("id").unwrap_or_default();
    Ok(TaskIdInPath(TaskId::parse(text)))
}

fn owned_tasks(request: &HttpRequest) -> Result<OwnedTasks, ApiError> {
    Ok(owner(request)?.tasks())
}

fn parse_title(raw: &RawValue) -> Result<Title, ValidationError> {
    Title::parse(parse_value(raw, "a string")?.ok_or_else(not_null)?)
}

fn parse_completed(raw: &RawValue) -> Result<bool, ValidationError> {
    parse_value(raw, "true or false")?.ok_or_else(not_null)
}

fn parse_description(raw: &RawValue) -> Result<Option<Description>, ValidationError> {
    parse_value(raw, "a string or null")?
        .map(Description::parse)
        .transpose()
}

fn parse_due_date(raw: &RawValue) -> Result<Option<Timestamp>, ValidationError> {
    let expected = "an RFC 3339 date-time such as 2026-01-02T03:04:05Z, a date such as 2026-01-02, or null";
    let parse = |text: String| {
        Timestamp::parse(&text).map_err(|code| match code {
            ErrorCode::Range => code.with("must be in the years 0000 to 9999 in UTC"),
            code => code.with(format!("must be {expected}")),
        })
    };
    parse_value(raw, expected)?.map(parse).transpose()
}

impl FromJson for NewTask {
    fn from_object(object: &JsonObject<'_>) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        if object.values("title").next().is_none() {
            errors.add("title", ErrorCode::Required.with("is required"));
        }
        let title = object.parse("title", &mut errors, parse_title);
        let description = object.parse("description", &mut errors, parse_description);
        let completed = object.parse("completed", &mut errors, parse_completed);
        let due_date = object.parse("due_date", &mut errors, parse_due_date);
        match title {
            Some(title) => errors.into_result(Self {
                title,
                description: description.flatten(),
                completed: completed.unwrap_or(false),
                due_date: due_date.flatten(),
            }),
            None => Err(errors),
        }
    }
}

impl FromJson for TaskChanges {
    fn from_object(object: &JsonObject<'_>) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let changes = Self {
            title: object.parse("title", &mut errors, parse_title),
            description: object.parse("description", &mut errors, parse_description),
            completed: object.parse("completed", &mut errors, parse_completed),
            due_date: object.parse("due_date", &mut errors, parse_due_date),
        };
        errors.into_result(changes)
    }
}

/// The body of `PATCH …/complete`: the value to which `completed` is set. If it is `None`, the value is flipped.
pub struct Completion(pub Option<bool>);

impl FromJson for Completion {
    fn from_object(object: &JsonObject<'_>) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let completed = object.parse("completed", &mut errors, parse_completed);
        errors.into_result(Self(completed))
    }

    fn from_empty() -> Option<Self> {
        Some(Self(None))
    }
}

/// A task to create, and the idempotency key. Both are always validated, so that the response lists all invalid fields.
pub struct CreateRequest {
    pub task: NewTask,
    pub key: Option<IdempotencyKey>,
}

impl FromRequest for CreateRequest {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut errors = ValidationErrors::default();
        let key = idempotency_key::parse(request, &mut errors);
        let contract = Contract::of(request);
        let body = JsonBody::<NewTask>::from_request(request, payload);
        Box::pin(async move {
            match body.await {
                Ok(JsonBody(task)) => {
                    let task = errors
                        .into_result(task)
                        .map_err(|errors| ApiError::BadInput(contract, errors))?;
                    let key = key.map(|key| IdempotencyKey {
                        key,
                        fingerprint: fingerprint(&task),
                    });
                    Ok(Self { task, key })
                }
                Err(ApiError::BadInput(contract, body_errors)) => {
                    errors.0.extend(body_errors.0);
                    Err(ApiError::BadInput(contract, errors))
                }
                Err(other) => Err(other),
            }
        })
    }
}

/// A digest of the parsed task. The digest does not use the bytes of the body, because a client may serialize the same
/// task differently in each attempt, for instance with its members in another order.
fn fingerprint(task: &NewTask) -> Vec<u8> {
    // The pattern contains no `..`, so that the compiler reports a new field that is missing here.
    let NewTask {
        title,
        description,
        completed,
        due_date,
    } = task;
    let mut digest = digest::Context::new(&digest::SHA256);
    for text in [
        Some(title.as_str()),
        description.as_ref().map(|text| text.as_str()),
    ] {
        // The length of each text comes first, so that different pairs of texts never result in the same bytes.
        digest.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        digest.update(text.unwrap_or_default().as_bytes());
    }
    digest.update(&[(*completed).into()]);
    digest.update(&due_date.map_or(i64::MAX, |due| due.micros()).to_le_bytes());
    digest.finish().as_ref().to_vec()
}
