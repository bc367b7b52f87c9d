//! The authenticated user of a request, and the [`Owner`], through which handlers access the user's data.

use std::rc::Rc;

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use serde::Deserialize;

use super::app_data;
use super::contract::Contract;
use super::error::ApiError;
use crate::auth::{AuthenticatedUser, Refusal};
use crate::store::{Owner, Store};

/// The user whom the authentication guard has stored in the request. On a route that the guard does not protect, there
/// is no user, and the error is a 401.
pub fn caller(request: &HttpRequest) -> Result<AuthenticatedUser, ApiError> {
    let user = request.extensions().get::<AuthenticatedUser>().cloned();
    Ok(user.ok_or(Refusal::Missing)?)
}

#[derive(Deserialize)]
struct NamedUser {
    user_id: String,
}

/// Fails with 403 if the path names another user. This is part of the extraction of `OwnedTasks`, which is the first
/// argument of each handler, so that the user is checked before the body is read.
pub fn owner(request: &HttpRequest) -> Result<Owner, ApiError> {
    let user = caller(request)?;
    if Contract::of(request) == Contract::B {
        let named = web::Path::<NamedUser>::extract(request).into_inner();
        let named = named.map(|path| path.into_inner().user_id).unwrap_or_default();
        if named != user.id.as_str() {
            return Err(ApiError::OtherUser);
        }
    }
    Ok(Owner::new(user, Rc::clone(app_data::<Rc<Store>>(request)?)))
}
