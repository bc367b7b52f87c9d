//! The two contracts, told apart by the path: `/api/tasks…` and `/api/{user_id}/tasks…`.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::guard::GuardContext;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use serde::Deserialize;

use super::error::ApiError;
use crate::auth::{AuthenticatedUser, Refusal};
use crate::domain::TaskId;
use crate::store::{OwnedTasks, Owner, Store};

pub const NO_SUCH_TASK: ApiError =
    ApiError::NotFound("There is no such task among yours; list your tasks to see their ids.");
pub const NO_SUCH_ROUTE: ApiError = ApiError::NotFound("Nothing is at this address; see /docs for what is.");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// The token's tasks.
    A,
    /// A named user's tasks.
    B,
}

impl Contract {
    pub fn of(request: &HttpRequest) -> Self {
        match request.match_info().get("user_id") {
            Some(_) => Self::B,
            None => Self::A,
        }
    }

    pub fn bad_input(self) -> StatusCode {
        match self {
            Self::A => StatusCode::BAD_REQUEST,
            Self::B => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Whether contract A has what lies below `/api/tasks/tasks`: a task whose id is no number. For a user of
/// that name it is contract B's.
pub fn tasks_is_no_user(context: &GuardContext<'_>) -> bool {
    let rest = context.head().uri.path().strip_prefix("/api/tasks/");
    rest.and_then(|rest| rest.split('/').next()) != Some("tasks") || !caller_is_tasks(context)
}

fn caller_is_tasks(context: &GuardContext<'_>) -> bool {
    let data = context.req_data();
    data.get::<AuthenticatedUser>()
        .is_some_and(|user| user.id().as_str() == "tasks")
}

/// The caller's tasks, if the path does not name somebody else's. Standing in a handler's signature, it
/// is looked at before the body is.
impl FromRequest for OwnedTasks {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(owned_tasks(request))
    }
}

#[derive(Deserialize)]
struct NamedUser {
    user_id: String,
}

/// The user that the guard inserted; where no guard stands there is none.
pub fn caller(request: &HttpRequest) -> Result<AuthenticatedUser, ApiError> {
    let user = request.extensions().get::<AuthenticatedUser>().cloned();
    Ok(user.ok_or(Refusal::Missing)?)
}

fn owned_tasks(request: &HttpRequest) -> Result<OwnedTasks, ApiError> {
    let user = caller(request)?;
    if Contract::of(request) == Contract::B {
        let named = web::Path::<NamedUser>::extract(request).into_inner();
        let named = named.map(|path| path.into_inner().user_id).unwrap_or_default();
        if named != user.id().as_str() {
            return Err(ApiError::OtherUser);
        }
    }
    let store = request
        .app_data::<Rc<Store>>()
        .ok_or_else(|| ApiError::Internal("no store was given to the application".into()))?;
    Ok(Owner::new(user, Rc::clone(store)).tasks())
}

/// The id in the path. Handlers look at it last, so that every id that leads nowhere gets the same answer.
pub struct TaskIdInPath(Option<TaskId>);

impl TaskIdInPath {
    pub fn get(&self) -> Result<TaskId, ApiError> {
        self.0.ok_or(NO_SUCH_TASK)
    }
}

impl FromRequest for TaskIdInPath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("id").unwrap_or_default();
        ready(Ok(Self(TaskId::parse(text))))
    }
}
