//! The database errors that a caller has to tell apart.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many calls wait for the database, or no connection became free within the acquire timeout.
    #[error("no database connection became free in time ({0})")]
    Busy(&'static str),
    /// The database could not be reached or did not answer in time. A write may have taken place.
    #[error("the database could not answer: {0}")]
    Unavailable(String),
    #[error(
        "the database is not ready: it could not be reached since the start, its tables could not be created (the \
         log says why), or they were dropped"
    )]
    NotMigrated,
    #[error("too many long lists are in flight")]
    TooManyLongLists,
    /// The user has no row in `users`, which every foreign key refers to.
    #[error("the user has no row in `users`")]
    UnknownUser,
    /// A bug.
    #[error("{0}")]
    Internal(String),
    /// A bug. The panic hook has logged it.
    #[error("a database job panicked")]
    Panicked,
}

/// Diesel classifies only a few errors and calls all others unknown: a statement timeout, a full disk, a server
/// that shuts down, a lock timeout. For these, trying again later may help. A mistake in our SQL would be
/// classified like this as well; finding it is left to the tests.
impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{
            ClosedConnection, ForeignKeyViolation, NotNullViolation, ReadOnlyTransaction,
            SerializationFailure, UnableToSendCommand, Unknown,
        };
        match &error {
            DieselError::DatabaseError(ForeignKeyViolation, _) => Self::UnknownUser,
            DieselError::DatabaseError(
                // NotNullViolation: another program added a NOT NULL column without a default, which an
                // operator can fix.
                ClosedConnection | NotNullViolation | ReadOnlyTransaction | SerializationFailure
                | UnableToSendCommand | Unknown,
                _,
            )
            | DieselError::BrokenTransactionManager => Self::Unavailable(describe(&error)),
            _ => Self::Internal(describe(&error)),
        }
    }
}

/// One line for the log, without the server's detail, which quotes whole rows with their emails.
pub(crate) fn describe(error: &DieselError) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn is_kind(error: &DieselError, kind: DatabaseErrorKind) -> bool {
    matches!(error, DieselError::DatabaseError(found, _)
        if std::mem::discriminant(found) == std::mem::discriminant(&kind))
}

/// Whether the connection was lost. The statement may or may not have taken place.
pub(crate) fn lost_connection(error: &DieselError) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    is_kind(error, ClosedConnection) || is_kind(error, UnableToSendCommand)
}
