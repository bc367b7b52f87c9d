//! What everything that belongs to a user needs: that the user has a row in `users`.

use std::sync::Arc;

use diesel::QueryResult;

use super::connection::Connection;
use super::database::Database;
use super::error::StoreError;
use super::queue::Access;
use super::users;
use crate::auth::{AuthenticatedUser, Refusal};
use crate::domain::UserId;
use crate::metrics::METRICS;

/// A verified user and the database: the only way to what belongs to that user.
#[derive(Clone)]
pub struct Owner {
    user: AuthenticatedUser,
    database: Arc<Database>,
}

impl Owner {
    pub fn new(user: AuthenticatedUser, database: Arc<Database>) -> Self {
        Self { user, database }
    }

    pub fn id(&self) -> &UserId {
        self.user.id()
    }

    /// Runs the queries of a call. They are repeated if they miss the user's row, which only an insert does: it
    /// fails on its foreign key and has changed nothing. Others find nothing where a user was deleted.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl Fn(&mut Connection, &UserId) -> QueryResult<T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        let attempt = || {
            let (user, work) = (self.user.clone(), Arc::clone(&work));
            self.database.run(access, move |conn| work(conn, user.id()))
        };
        self.ensure_row().await?;
        match attempt().await {
            Err(StoreError::UnknownUser) => {
                self.database.known_users.forget(self.id());
                self.ensure_row().await?;
                attempt().await
            }
            outcome => outcome,
        }
    }

    /// The user has a row, and it says what the newest token says. Costs nothing for a token that is known.
    async fn ensure_row(&self) -> Result<(), StoreError> {
        let known_users = &self.database.known_users;
        if known_users.is_up_to_date(&self.user) {
            return Ok(());
        }
        let user = self.user.clone();
        let ensure = move |conn: &mut Connection| users::ensure(conn, &user);
        if !self.database.run(Access::RepeatableWrite, ensure).await? {
            METRICS.token_refused(Refusal::UnknownUser.kind());
            return Err(StoreError::UnknownUser);
        }
        known_users.remember(&self.user);
        Ok(())
    }
}
