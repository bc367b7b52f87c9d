//! What every resource of a user needs: a row in `users`.

use std::rc::Rc;
use std::sync::Arc;

use diesel::QueryResult;

use super::users::{self, KnownUsers};
use crate::auth::{AuthenticatedUser, Refusal};
use crate::db::{Access, Connection, DatabaseWorker, StoreError};
use crate::domain::UserId;
use crate::quota::QuotaPermit;
use crate::telemetry::METRICS;

/// What an HTTP worker needs to serve any user.
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

/// A verified user and the database: the only way to the user's data.
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

    pub(super) async fn long_list_permit(&self) -> Result<QuotaPermit, StoreError> {
        self.store.database.long_list_permit(self.id()).await
    }

    /// Runs a call's queries. If an insert fails on its foreign key, the user's row was deleted: the row is
    /// inserted again and the queries are repeated, which is safe because the failed insert has changed
    /// nothing.
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

    /// Makes sure that the user has a row with the newest token's claims. Runs no statement for a known token.
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
            METRICS.token_refused(Refusal::UnknownUser.metric_label());
            return Err(StoreError::UnknownUser);
        }
        known_users.remember(&self.user);
        Ok(())
    }
}
