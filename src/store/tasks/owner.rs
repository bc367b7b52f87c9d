//! Sees to it that whoever has tasks has a row among the users, without asking for it each time.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;

use super::OwnedTasks;
use crate::domain::UserId;
use crate::store::connection::Connection;
use crate::store::error::{StoreError, is_kind};
use crate::store::queue::Access;
use crate::store::users::{self, OwnerRow};

/// An answer that a user without a row would get as well.
pub(in crate::store) trait MayBeVacant {
    fn is_vacant(&self) -> bool;
}

impl<T> MayBeVacant for Option<T> {
    fn is_vacant(&self) -> bool {
        self.is_none()
    }
}

impl OwnedTasks {
    /// Makes the owner's row say what the token says, if it does not.
    pub(super) async fn update_owner(&self, row: OwnerRow) -> Result<(), StoreError> {
        let known = &self.database.known_users;
        let update = match row {
            OwnerRow::Agrees => return Ok(()),
            OwnerRow::Differs => users::ensure,
            OwnerRow::WithoutEmail if known.may_reclaim(&self.owner) => users::reclaim_email,
            OwnerRow::WithoutEmail => return Ok(()),
        };
        let user = known.heard(&self.owner);
        let update = move |conn: &mut Connection| update(conn, &user);
        self.database.run(Access::RepeatableWrite, update).await
    }

    /// Does the work for a user who has a row, and makes that row first where it is missing.
    ///
    /// A user seen before costs nothing: the work itself shows whether the row is still there. A task
    /// has an owner, so one that is found proves it; an answer that is vacant and an insert that
    /// misses its owner do not, and only these ask.
    pub(in crate::store) async fn for_owner<T: MayBeVacant + Send + 'static>(
        &self,
        access: Access,
        work: impl Fn(&mut Connection, &UserId) -> QueryResult<T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        if self.database.known_users.knows(&self.owner) {
            let (owner, work) = (self.owner.id().clone(), Arc::clone(&work));
            let present = move |conn: &mut Connection| {
                // In-process, asking first costs next to nothing, and other programs delete users from
                // SQLite without their tasks: foreign keys are off by default there.
                if conn.is_sqlite() && !users::exists(conn, &owner)? {
                    return Ok(None);
                }
                match work(conn, &owner) {
                    Ok(found) if found.is_vacant() && !users::exists(conn, &owner)? => Ok(None),
                    Err(error) if is_kind(&error, DatabaseErrorKind::ForeignKeyViolation) => Ok(None),
                    outcome => outcome.map(Some),
                }
            };
            if let Some(outcome) = self.database.run(access, present).await? {
                return Ok(outcome);
            }
        }
        let user = self.database.known_users.heard(&self.owner);
        let heard = user.clone();
        let outcome = self
            .database
            .run(access.writing(), move |conn| {
                users::ensure(conn, &user)?;
                match work(conn, user.id()) {
                    // Deleted again, between the two.
                    Err(error) if is_kind(&error, DatabaseErrorKind::ForeignKeyViolation) => {
                        users::ensure(conn, &user)?;
                        work(conn, user.id())
                    }
                    outcome => outcome,
                }
            })
            .await?;
        self.database.known_users.remember(&heard);
        Ok(outcome)
    }
}
