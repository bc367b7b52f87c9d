//! What everything that belongs to a user needs: that the user has a row in `users`.

use std::rc::Rc;
use std::sync::Arc;

use diesel::QueryResult;

use super::users::{self, KnownUsers};
use crate::auth::{AuthenticatedUser, Refusal};
use crate::db::{Access, Connection, DatabaseWorker, StoreError};
use crate::domain::UserId;
use crate::quota::Share;
use crate::telemetry::METRICS;

/// What one HTTP worker needs to serve any user.
pub struct Store {
    pub database: DatabaseWorker,
    known_users: Arc<KnownUsers>,
}

impl Store {
    pub fn new(database: DatabaseWorker, known_users: Arc<KnownUsers>) -> Rc<Self> {
        Rc::new(Self {
            database,
            known_users,
        })
    }
}

/// A verified user and the database: the only way to what belongs to that user.
#[derive(Clone)]
pub struct Owner {
    user: AuthenticatedUser,
    store: Rc<Store>,
}

impl Owner {
    pub fn new(user: AuthenticatedUser, store: Rc<Store>) -> Self {
        Self { user, store }
    }

    pub fn id(&self) -> &UserId {
        self.user.id()
    }

    pub(super) async fn long_list_permit(&self) -> Result<Share, StoreError> {
        self.store.database.long_list_permit(self.id()).await
    }

    /// Runs the queries of a call. They are repeated if they miss the user's row, which only an insert does: it
    /// fails on its foreign key and has changed nothing. Others find nothing where a user was deleted.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl AsyncFn(&mut Connection<'_>, &UserId) -> QueryResult<T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        let attempt = || {
            let (user, work) = (self.user.clone(), Arc::clone(&work));
            let on_connection =
                async move |connection: &mut Connection<'_>| work(connection, user.id()).await;
            async move { self.store.database.run(access, self.id(), on_connection).await }
        };
        self.ensure_row().await?;
        match attempt().await {
            Err(StoreError::UnknownUser) => {
                self.store.known_users.forget(self.id());
                self.ensure_row().await?;
                attempt().await
            }
            outcome => outcome,
        }
    }

    /// The user has a row, and it says what the newest token says. Costs nothing for a token that is known.
    async fn ensure_row(&self) -> Result<(), StoreError> {
        let known_users = &self.store.known_users;
        if known_users.is_up_to_date(&self.user) {
            return Ok(());
        }
        let user = self.user.clone();
        let ensure = async move |connection: &mut Connection<'_>| users::ensure(connection, &user).await;
        if !self
            .store
            .database
            .run(Access::Transaction, self.id(), ensure)
            .await?
        {
            METRICS.token_refused(Refusal::UnknownUser.kind());
            return Err(StoreError::UnknownUser);
        }
        known_users.remember(&self.user);
        Ok(())
    }
}
