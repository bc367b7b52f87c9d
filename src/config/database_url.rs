//! Parses `DATABASE_URL`, whose scheme selects PostgreSQL or SQLite.

use std::fmt;
use std::path::{Path, PathBuf};

use super::postgres_url::{Parameters, PostgresUrl};

#[derive(Clone)]
pub enum DatabaseUrl {
    Postgres(Box<PostgresUrl>),
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    /// `defaults` are for parameters that are not in the URL of a PostgreSQL server.
    pub fn parse(text: &str, defaults: Parameters) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("sqlite://") {
            return Self::parse_sqlite(file);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::parse_postgres(text, defaults);
        }
        Err("must start with postgres://, postgresql:// or sqlite://".into())
    }

    fn parse_sqlite(file: &str) -> Result<Self, String> {
        // SQLite interprets a path that starts with `file:` as a URI. Diesel does the same with `sqlite://`.
        let is_uri = file.starts_with("file:") || file.starts_with("sqlite:");
        if file.trim().is_empty() || file.ends_with('/') || file.contains(char::is_control) || is_uri {
            return Err(
                "must contain the path of a file: write sqlite://data/todo.db or sqlite:///var/lib/todo.db"
                    .into(),
            );
        }
        if file.contains(":memory:") || file.contains(['?', '#']) {
            return Err(
                "must name a file and have no parameters: a database in memory would lose all tasks".into(),
            );
        }
        Ok(Self::Sqlite(file.into()))
    }

    /// Refuses ambiguous URLs. For example, the service would connect to another host if the password contained an
    /// unescaped `#`, `?`, `/` or `@`.
    fn parse_postgres(text: &str, defaults: Parameters) -> Result<Self, String> {
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let is_well_escaped = text.split('%').skip(1).all(|rest| {
            let hex = rest
                .get(..2)
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            hex && !rest.starts_with("00")
        });
        let escape = "percent-encode special characters in the user name and the password";
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("contains white space or a control character: {escape}"));
        }
        let has_unpaired_bracket = authority.matches('[').count() != authority.matches(']').count();
        let is_ambiguous = authority.matches('@').count() > 1 || tail.contains(['#', '@']);
        if !is_well_escaped || has_unpaired_bracket || is_ambiguous {
            return Err(format!("is ambiguous or malformed: {escape}"));
        }
        PostgresUrl::parse(text, defaults).map(|url| Self::Postgres(url.into()))
    }

    /// Returns the file of the SQLite database, or `None` with PostgreSQL.
    pub fn sqlite_file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

/// Replaces the password by `***`, even if the password is a parameter.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Self::Postgres(url) => {
                let mut text = url.text.clone();
                // If there is an `@`, it follows the user and the password: `parse_postgres` refuses any other `@`.
                if let Some(end) = text.find('@')
                    && let Some((colon, _)) = text[..end].match_indices(':').nth(1)
                {
                    text.replace_range(colon + 1..end, "***");
                }
                let Some((server, query)) = text.split_once('?') else {
                    return f.write_str(&text);
                };
                let pairs = query.split('&').map(|pair| match pair.starts_with("password=") {
                    true => "password=***",
                    false => pair,
                });
                write!(f, "{server}?{}", pairs.collect::<Vec<_>>().join("&"))
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
