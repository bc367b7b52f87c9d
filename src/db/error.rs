//! What can go wrong between the service and its database, as far as a caller has to tell it apart.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many calls wait for the database, or no connection became free within the acquire timeout.
    #[error("no database connection became free in time ({0})")]
    Busy(&'static str),
    /// The database was asked and could not answer, or not in time. Whether a write took place is not
    /// known in every case.
    #[error("the database could not answer: {0}")]
    Unavailable(String),
    /// The migrations have not been applied yet.
    #[error(
        "the database is not ready: since the start it could not be reached, its tables could not be made (the \
         log says which), or somebody took them away"
    )]
    NotMigrated,
    /// A user, or all users together, have as many long lists under way as they may have.
    #[error("too many long lists are under way")]
    TooManyLongLists,
    /// The user has no row in `users`, to which all foreign keys lead.
    #[error("the user has no row in `users`")]
    UnknownUser,
    /// A mistake of ours.
    #[error("{0}")]
    Internal(String),
    /// Another one. The panic itself is in the log.
    #[error("a database job panicked")]
    Panicked,
}

/// Diesel names the kinds of failure that a program may want to handle, and calls all others unknown: a
/// statement that ran out of time, a full disk, a server that shuts down, a lock that was not had. They
/// have in common that asking again later may work. (So has a table that somebody took away; a mistake in our
/// SQL would hide among them, and is the tests' to find.)
impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{
            ClosedConnection, ForeignKeyViolation, NotNullViolation, ReadOnlyTransaction,
            SerializationFailure, UnableToSendCommand, Unknown,
        };
        match &error {
            DieselError::DatabaseError(ForeignKeyViolation, _) => Self::UnknownUser,
            DieselError::DatabaseError(
                // A column of another program's that has no default: an operator can mend it.
                ClosedConnection | NotNullViolation | ReadOnlyTransaction | SerializationFailure
                | UnableToSendCommand | Unknown,
                _,
            )
            | DieselError::BrokenTransactionManager => Self::Unavailable(describe(&error)),
            _ => Self::Internal(describe(&error)),
        }
    }
}

/// In one line, for the log. Without the server's detail: that quotes whole rows, emails included.
pub(crate) fn describe(error: &DieselError) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn is_kind(error: &DieselError, kind: DatabaseErrorKind) -> bool {
    matches!(error, DieselError::DatabaseError(found, _)
        if std::mem::discriminant(found) == std::mem::discriminant(&kind))
}

/// The connection is gone; what was under way on it may or may not have taken place.
pub(crate) fn lost_connection(error: &DieselError) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    is_kind(error, ClosedConnection) || is_kind(error, UnableToSendCommand)
}
