//! What comes out: the answers that went well, and every problem as the service itself words it. Must not
//! know in which operation they are used.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::component;
use super::schemas::{example, schema};
use crate::api::contract::{Contract, NO_SUCH_ROUTE, NO_SUCH_TASK};
use crate::api::error::ApiError;
use crate::api::problem::Problem;
use crate::auth::Refusal;
use crate::domain::{ErrorCode, Invalid};

/// A problem that an operation may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    BadInput(Contract),
    BodyCutOff,
    BodyTooSlow,
    Unauthenticated,
    OtherUser,
    NoSuchTask,
    NoSuchFile,
    Outdated,
    TooLarge,
    MediaType,
    KeyReused,
    RateLimited,
    HeadersTooLarge,
    Internal,
    Unavailable,
}

impl Failure {
    const ALL: [Self; 16] = [
        Self::BadInput(Contract::A),
        Self::BadInput(Contract::B),
        Self::BodyCutOff,
        Self::BodyTooSlow,
        Self::Unauthenticated,
        Self::OtherUser,
        Self::NoSuchTask,
        Self::NoSuchFile,
        Self::Outdated,
        Self::TooLarge,
        Self::MediaType,
        Self::KeyReused,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Unavailable,
    ];

    fn name(self) -> String {
        match self {
            Self::BadInput(Contract::A) => "BadInput".into(),
            Self::BadInput(Contract::B) => "UnprocessableInput".into(),
            other => format!("{other:?}"),
        }
    }

    fn when(self) -> &'static str {
        match self {
            Self::BadInput(_) => "The input cannot be used: `errors` names every wrong field.",
            Self::BodyCutOff => "The body ended before it was whole.",
            Self::BodyTooSlow => "The body did not come in time.",
            Self::Unauthenticated => "There is no token, or it is not valid.",
            Self::OtherUser => "The path names another user than the token, whether or not there is one.",
            Self::NoSuchTask => "There is no such task among the user's. The same answer for every such id.",
            Self::NoSuchFile => "There is no such file.",
            Self::Outdated => "The task is not what `If-Match` stands for any more.",
            Self::TooLarge => "The body is too long.",
            Self::MediaType => "The body is said to be something else than plain JSON in UTF-8.",
            Self::KeyReused => "The `Idempotency-Key` came before, with another payload.",
            Self::RateLimited => {
                "The user calls more often than this service allows. It need not set a limit."
            }
            Self::HeadersTooLarge => "The headers are too many or too long.",
            Self::Internal => "A mistake of the service's.",
            Self::Unavailable => {
                "The database, or the keys to verify tokens with, cannot be reached in time."
            }
        }
    }

    /// The problem as the service makes it.
    fn problem(self) -> Problem {
        match self {
            Self::BadInput(contract) => {
                let mut invalid = Invalid::one("title", ErrorCode::Blank.with("must not be blank"));
                invalid.add("completed", ErrorCode::Type.with("must be true or false"));
                ApiError::BadInput(contract, invalid).problem()
            }
            Self::BodyCutOff => ApiError::BodyCutOff.problem(),
            Self::BodyTooSlow => ApiError::BodyTooSlow.problem(),
            Self::Unauthenticated => ApiError::Unauthenticated(Refusal::Missing).problem(),
            Self::OtherUser => ApiError::OtherUser.problem(),
            Self::NoSuchTask => NO_SUCH_TASK.problem(),
            Self::NoSuchFile => NO_SUCH_ROUTE.problem(),
            Self::Outdated => ApiError::Outdated.problem(),
            Self::TooLarge => ApiError::TooLarge.problem(),
            Self::MediaType => ApiError::MediaType("Send the body without a Content-Encoding.").problem(),
            Self::KeyReused => ApiError::KeyReused.problem(),
            Self::RateLimited => ApiError::TooManyRequests { seconds: 1 }.problem(),
            Self::HeadersTooLarge => Problem::of_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::Internal => Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => Problem::of_status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn headers(self) -> &'static [&'static str] {
        match self {
            Self::Unauthenticated => &["WWW-Authenticate"],
            Self::RateLimited | Self::Unavailable => &["Retry-After"],
            _ => &[],
        }
    }

    pub fn status(self) -> u16 {
        self.problem().status.as_u16()
    }
}

/// The answer to all of these, which have one status in common.
pub fn of_failures(failures: &[Failure]) -> Value {
    match failures {
        [only] => component("responses", &only.name()),
        several => failure(several),
    }
}

fn failure(failures: &[Failure]) -> Value {
    const ID: &str = "5f0c6d1e8b5b4c1e9a37c4b7d2a90f13";
    let whens: Vec<&str> = failures.iter().map(|failure| failure.when()).collect();
    let headers: Vec<&str> = failures
        .iter()
        .flat_map(|failure| failure.headers())
        .copied()
        .collect();
    let mut examples = Map::new();
    for failure in failures {
        let body: Value = serde_json::from_str(&failure.problem().body(ID)).unwrap_or_default();
        examples.insert(failure.name(), json!({ "value": body }));
    }
    json!({
        "description": whens.join(" "),
        "headers": references(&headers),
        "content": { "application/problem+json": { "schema": schema("Problem"), "examples": examples } },
    })
}

pub fn components() -> Value {
    let task = example();
    let mut responses = Map::new();
    for one in Failure::ALL {
        responses.insert(one.name(), failure(&[one]));
    }
    responses.insert(
        "Tasks".into(),
        with_body(
            "The tasks.",
            &["ETag", "Cache-Control", "Link"],
            "Tasks",
            &json!([task]),
        ),
    );
    responses.insert(
        "Task".into(),
        with_body("The task.", &["ETag", "Cache-Control"], "Task", &json!(task)),
    );
    responses.insert(
        "Deleted".into(),
        json!({ "description": "The task is gone.", "headers": references(&[]) }),
    );
    responses.insert("NotModified".into(), not_modified(&["ETag"]));
    responses.insert("TaskNotModified".into(), not_modified(&["ETag", "Cache-Control"]));
    responses.insert(
        "TasksNotModified".into(),
        not_modified(&["ETag", "Cache-Control", "Link"]),
    );
    // No operation is ever answered with this one: it is what the methods get that an address lacks.
    let allow = ApiError::Method {
        allow: "GET, HEAD, POST",
    }
    .problem()
    .body("1");
    let allow: Value = serde_json::from_str(&allow).unwrap_or_default();
    let description = "The address does not have this method; `Allow` says which it has.";
    let mut wrong_method = with_body(description, &["Allow"], "Problem", &allow);
    let content = wrong_method["content"]["application/json"].take();
    wrong_method["content"] = json!({ "application/problem+json": content });
    responses.insert("WrongMethod".into(), wrong_method);
    responses.into()
}

fn not_modified(headers: &[&str]) -> Value {
    json!({ "description": "What the client has is still right.", "headers": references(headers) })
}

pub fn with_body(description: &str, headers: &[&str], shape: &str, example: &Value) -> Value {
    json!({
        "description": description,
        "headers": references(headers),
        "content": { "application/json": { "schema": schema(shape), "example": example } },
    })
}

/// What is served as it is, in one of these media types.
pub fn file(description: &str, media_types: &[&str], schema: &Value) -> Value {
    let content: Map<String, Value> = media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
        .collect();
    json!({ "description": description, "headers": references(&["ETag"]), "content": content })
}

/// `X-Request-Id` and these.
pub fn references(names: &[&str]) -> Value {
    let names = ["X-Request-Id"].into_iter().chain(names.iter().copied());
    names
        .map(|name| (name.to_owned(), component("headers", name)))
        .collect::<Map<_, _>>()
        .into()
}

pub fn headers() -> Value {
    let header = |required: bool, description: &str, schema: Value, example: &str| json!({ "required": required, "description": description, "schema": schema, "example": example });
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    json!({
        "X-Request-Id": header(
            true,
            "The name of this request: the client's, or a new one.",
            text("^[A-Za-z0-9_.:/+=@~-]{1,128}$"),
            "5f0c6d1e8b5b4c1e9a37c4b7d2a90f13",
        ),
        "ETag": header(true, "Stands for exactly this answer.", text("^\"[A-Za-z0-9_-]+\"$"), "\"1\""),
        "Cache-Control": header(
            true,
            "For the client's own cache, and to be asked about each time.",
            text("^private, no-cache$"),
            "private, no-cache",
        ),
        "Location": header(
            true,
            "The address of the new task, or of the page.",
            json!({ "type": "string", "format": "uri-reference" }),
            "/api/tasks/1",
        ),
        "Link": header(
            false,
            "The next page, when there was a `limit` and there is more.",
            text("^<[^>]+>; rel=\"next\"$"),
            "</api/tasks?status=all&sort=created&limit=20&cursor=zK3v>; rel=\"next\"",
        ),
        "WWW-Authenticate": header(
            true,
            "What to authenticate with.",
            text("^Bearer "),
            "Bearer realm=\"todo-backend\"",
        ),
        "Allow": header(true, "The methods that this address has.", text("^[A-Z]+(, [A-Z]+)*$"), "GET, HEAD, POST"),
        "Retry-After": {
            "required": true,
            "description": "How many seconds to wait before the next try.",
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        },
    })
}
