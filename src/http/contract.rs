//! The two contracts, which differ in the path: `/api/tasks…` (A, the tasks of the token's user) and
//! `/api/{user_id}/tasks…` (B, the tasks of a named user).

use actix_web::HttpRequest;
use actix_web::guard::GuardContext;
use actix_web::http::StatusCode;

use crate::auth::AuthenticatedUser;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    A,
    B,
}

impl Contract {
    pub fn of(request: &HttpRequest) -> Self {
        match request.match_info().get("user_id") {
            Some(_) => Self::B,
            None => Self::A,
        }
    }

    pub fn invalid_input_status(self) -> StatusCode {
        match self {
            Self::A => StatusCode::BAD_REQUEST,
            Self::B => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Whether a path below `/api/tasks` belongs to contract A. Only `/api/tasks/tasks…` is ambiguous: if the user's id is
/// `tasks`, it is the collection of contract B; for all other users, it is a task with an invalid id.
pub fn is_contract_a(context: &GuardContext<'_>) -> bool {
    let rest = context.head().uri.path().strip_prefix("/api/tasks/");
    rest.and_then(|rest| rest.split('/').next()) != Some("tasks") || !caller_is_named_tasks(context)
}

fn caller_is_named_tasks(context: &GuardContext<'_>) -> bool {
    let data = context.req_data();
    data.get::<AuthenticatedUser>()
        .is_some_and(|user| user.id().as_str() == "tasks")
}
