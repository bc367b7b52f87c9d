//! The error of a failed attempt to connect to PostgreSQL.

/// The cause as one line for the log. It omits the server's `DETAIL`, which may quote the data of users.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error as _;
        let text = match error.as_db_error() {
            Some(reported) => format!("{}: {}", reported.severity(), reported.message()),
            None => match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
        };
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl From<diesel::ConnectionError> for ConnectError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self(error.to_string())
    }
}
