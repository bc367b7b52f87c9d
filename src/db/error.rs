//! The errors of database calls, and their conversion from Diesel's errors.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many calls wait for the database, or no connection became free within the acquire timeout.
    #[error("no database connection became free in time ({0})")]
    Busy(&'static str),
    /// The database could not be reached, did not answer in time, or failed because of its own state, such as a
    /// full disk. A write may have been executed.
    #[error("the database could not answer: {0}")]
    Unavailable(String),
    #[error(
        "the database is not ready: it could not be reached since the start, its tables could not be created (the \
         log says why), or they were dropped"
    )]
    NotMigrated,
    #[error("too many long lists are being sent")]
    TooManyLongLists,
    /// The user has no row in `users`, which every foreign key refers to.
    #[error("the user has no row in `users`")]
    UnknownUser,
    /// An unexpected error, which suggests a bug in the service.
    #[error("{0}")]
    Internal(String),
    /// The code of the call panicked. The panic hook has logged the panic.
    #[error("a database job panicked")]
    Panicked,
}

/// Diesel classifies only a few errors. All others have the kind `Unknown`, for example a statement timeout, a full
/// disk, a server that shuts down, or a lock timeout. A client may succeed if it tries again later, so they become
/// `Unavailable`. Mistakes in the service's SQL have the same kind, but the tests find them.
impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{
            ClosedConnection, ForeignKeyViolation, NotNullViolation, ReadOnlyTransaction,
            SerializationFailure, UnableToSendCommand, Unknown,
        };
        match &error {
            DieselError::DatabaseError(ForeignKeyViolation, _) => Self::UnknownUser,
            DieselError::DatabaseError(
                // NotNullViolation means that another program has added a NOT NULL column without a default. An
                // operator can correct that, so it is not a bug in the service.
                ClosedConnection | NotNullViolation | ReadOnlyTransaction | SerializationFailure
                | UnableToSendCommand | Unknown,
                _,
            )
            | DieselError::BrokenTransactionManager => Self::Unavailable(describe(&error)),
            _ => Self::Internal(describe(&error)),
        }
    }
}

/// The error as one line for the log. It omits the server's `DETAIL`, which may quote the data of users.
pub(crate) fn describe(error: &DieselError) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn is_kind(error: &DieselError, kind: DatabaseErrorKind) -> bool {
    matches!(error, DieselError::DatabaseError(found, _)
        if std::mem::discriminant(found) == std::mem::discriminant(&kind))
}

/// Whether the connection was lost. The statement may or may not have been executed.
pub(crate) fn is_lost_connection(error: &DieselError) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    is_kind(error, ClosedConnection) || is_kind(error, UnableToSendCommand)
}
