//! The two contracts, A and B, each with paths of its own: `/api/tasks…` (A, the tasks of the token's user) and
//! `/api/{user_id}/tasks…` (B, the tasks of the user whom the path names).

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

/// Whether a path below `/api/tasks` belongs to contract A. Two paths are ambiguous: `/api/tasks/tasks` and
/// `/api/tasks/tasks/complete`. For the user whose id is `tasks`, they belong to contract B. For all other users, they
/// belong to contract A and contain an invalid task id.
pub fn is_contract_a(context: &GuardContext<'_>) -> bool {
    match context.head().uri.path().strip_prefix("/api/tasks/tasks") {
        None => true,
        Some("" | "/complete") => !caller_is_named_tasks(context),
        Some(rest) => !rest.starts_with('/'),
    }
}

fn caller_is_named_tasks(context: &GuardContext<'_>) -> bool {
    let data = context.req_data();
    data.get::<AuthenticatedUser>()
        .is_some_and(|user| user.id.as_str() == "tasks")
}
