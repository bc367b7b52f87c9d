//! Why a connection to PostgreSQL could not be made.

/// One line for the log, without the server's detail, which quotes rows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error as _;
        let text = match error.as_db_error() {
            Some(said) => format!("{}: {}", said.severity(), said.message()),
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
