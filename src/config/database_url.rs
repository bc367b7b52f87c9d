//! Parses `DATABASE_URL`, whose scheme selects PostgreSQL or SQLite.

use std::fmt;
use std::path::{Path, PathBuf};

use url::{Url, form_urlencoded};

#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Postgres(String),
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("sqlite://") {
            return Self::parse_sqlite(file);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::parse_postgres(text);
        }
        Err("must start with postgres://, postgresql:// or sqlite://".into())
    }

    fn parse_sqlite(file: &str) -> Result<Self, String> {
        if file.trim().is_empty() || file.ends_with('/') || file.contains(char::is_control) {
            return Err("names no file: write sqlite://data/todo.db or sqlite:///var/lib/todo.db".into());
        }
        if file.contains(":memory:") || file.contains(['?', '#']) {
            return Err(
                "must name a file and have no parameters: a database in memory would lose all tasks".into(),
            );
        }
        Ok(Self::Sqlite(file.into()))
    }

    /// Refuses ambiguous URLs. For example, the service would connect to another host if the password contained an
    /// unescaped `#`, `?`, `/` or `@`. The parameters are parsed later, in `db/postgres/url.rs`.
    fn parse_postgres(text: &str) -> Result<Self, String> {
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let (authority, tail) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
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
        if !is_well_escaped || authority.matches('@').count() > 1 || tail.contains(['#', '@']) {
            return Err(format!("is ambiguous or malformed: {escape}"));
        }
        if authority.is_empty() && !tail.contains("host=") {
            return Err("names no host".into());
        }
        Ok(Self::Postgres(text.into()))
    }

    pub fn has_password(&self) -> bool {
        let Self::Postgres(text) = self else {
            return false;
        };
        let (before_query, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let is_before_host = Url::parse(before_query)
            .is_ok_and(|url| url.password().is_some_and(|password| !password.is_empty()));
        is_before_host || parameters.any(|(name, value)| name == "password" && !value.is_empty())
    }

    pub fn sqlite_file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

/// Returns whether the name of a parameter indicates a secret. Names are not compared as a whole, because new versions
/// of libpq add secrets such as `sslpassword`, `scram_client_key` or `oauth_client_secret`.
fn may_be_secret(name: &str) -> bool {
    let words = ["password", "key", "secret"];
    words.iter().any(|word| name.contains(word))
}

/// Replaces the password and the values of secret parameters by `***`.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Self::Postgres(text) => {
                let (scheme, rest) = text.split_once("://").unwrap_or_default();
                let (authority, tail) = match rest.find(['/', '?']) {
                    Some(end) => rest.split_at(end),
                    None => (rest, ""),
                };
                let authority = match authority.rsplit_once('@') {
                    Some((user, host)) => match user.split_once(':') {
                        Some((name, _)) => format!("{name}:***@{host}"),
                        None => authority.into(),
                    },
                    None => authority.into(),
                };
                let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
                let query: Vec<String> = query
                    .split('&')
                    .filter(|pair| !pair.is_empty())
                    .map(|pair| match pair.split_once('=') {
                        Some((name, _)) if may_be_secret(name) => format!("{name}=***"),
                        _ => pair.into(),
                    })
                    .collect();
                let mark = if query.is_empty() { "" } else { "?" };
                write!(f, "{scheme}://{authority}{path}{mark}{}", query.join("&"))
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_with_a_known_scheme_are_accepted() {
        for good in [
            "sqlite://data/todo.db",
            "sqlite:///var/lib/todo.db",
            "postgres://localhost/todo",
            "postgresql://todo:p%40ss@db.example:5432/todo?sslmode=require&channel_binding=require",
            "postgres://todo@a:5432,b:5433/todo?target_session_attrs=read-write",
            "postgres:///todo?host=/var/run/postgresql",
            "postgres://[::1]:5432/todo",
            "postgres:///todo?host=a,b&port=5432,5433&connect_timeout=10",
        ] {
            assert!(DatabaseUrl::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "data/todo.db",
            "sqlite:todo.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://todo.db?mode=ro",
            "mysql://localhost/todo",
            "postgres",
            "postgres://",
            "postgres:///todo",
            "postgres://todo:p@ss@db/todo",
            "postgres://todo:p#ss@db/todo",
            "postgres://todo:100%secure@db/todo",
            "postgres://todo:%00@db/todo",
            "postgres://a b/todo",
            "postgres://todo:my secret@db/todo",
            "postgres://db/todo\n",
            "sqlite:// ",
            "sqlite://todo\n.db",
        ] {
            assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://todo:hunter2@db/todo",
            "postgres://db/todo?user=todo&password=hunter2",
            "postgres://db/todo?sslpassword=hunter2&sslmode=require",
            "postgres://db/todo?scram_client_key=hunter2",
        ] {
            let shown = DatabaseUrl::parse(url).unwrap().to_string();
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn a_password_is_found_before_the_host_and_in_a_parameter() {
        for (url, has) in [
            ("postgres://todo:secret@db/todo", true),
            ("postgres://todo:secret@a,b/todo?sslmode=require", true),
            ("postgres://db/todo?password=secret", true),
            ("postgres://todo@db/todo", false),
            ("postgres://todo:@db/todo?password=", false),
            ("sqlite://todo.db", false),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().has_password(), has, "{url}");
        }
    }
}
