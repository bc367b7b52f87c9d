//! Gives an authenticated user access to the database, and ensures that the user has a row in `users`.

use std::rc::Rc;
use std::sync::Arc;

use diesel::QueryResult;

use super::users::{self, KnownUsers, RowState};
use crate::auth::{AuthenticatedUser, Refusal};
use crate::db::{Access, Connection, DatabaseWorker, StoreError};
use crate::domain::UserId;
use crate::quota::QuotaPermit;
use crate::telemetry::METRICS;

/// The database and the cache of known users that one HTTP worker uses for all its requests.
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

/// An authenticated user and the database. The code that serves requests reaches a user's data only through this
/// type.
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
        &self.user.id
    }

    pub(super) async fn long_list_permit(&self) -> Result<QuotaPermit, StoreError> {
        self.store.database.long_list_permit(self.id()).await
    }

    /// Runs the queries of a call. If an insert fails because of its foreign key, the user's row was deleted. Then
    /// the row is inserted again and the queries are repeated, which is safe because the failed insert has changed
    /// nothing. If the table belongs to Better Auth, the row is not inserted and the call fails.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl AsyncFn(&mut Connection<'_>, &UserId) -> QueryResult<T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        let attempt = || {
            let (user, work) = (self.user.clone(), Arc::clone(&work));
            let on_connection = async move |connection: &mut Connection<'_>| work(connection, &user.id).await;
            async move { self.store.database.run(access, self.id(), on_connection).await }
        };
        self.ensure_row().await?;
        match attempt().await {
            Err(StoreError::UnknownUser) => {
                self.store.known_users.invalidate(self.id());
                self.ensure_row().await?;
                attempt().await
            }
            outcome => outcome,
        }
    }

    /// Inserts the user's row if it is missing, and updates its email and name if this token is newer than the row. If
    /// the table belongs to Better Auth, nothing is written, and a user without a row is an error. No statement is
    /// executed if the row is known to be up to date.
    async fn ensure_row(&self) -> Result<(), StoreError> {
        let Store {
            database,
            known_users,
        } = &*self.store;
        if known_users.is_up_to_date(&self.user) {
            return Ok(());
        }
        let user = self.user.clone();
        let compare = async move |connection: &mut Connection<'_>| users::compare(connection, &user).await;
        let has_row = match database.run(Access::Read, self.id(), compare).await? {
            RowState::UpToDate => true,
            RowState::Unknown => false,
            state @ (RowState::Missing | RowState::Outdated) => {
                let user = self.user.clone();
                let write = async move |connection: &mut Connection<'_>| {
                    users::ensure_row(connection, &user, state == RowState::Outdated).await
                };
                database.run(Access::Transaction, self.id(), write).await?
            }
        };
        if !has_row {
            METRICS.token_refused(Refusal::UnknownUser.metric_label());
            return Err(StoreError::UnknownUser);
        }
        known_users.insert(&self.user);
        Ok(())
    }
}
