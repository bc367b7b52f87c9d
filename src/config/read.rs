//! Reads and validates the values of single variables.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;
use url::Url;

use super::postgres_url::Parameters;
use super::{ConfigError, DatabaseUrl, Secret, without_secrets};

type Result<T> = std::result::Result<T, ConfigError>;

/// A value and the variable from which it was read, for error messages.
type Sourced = (String, &'static str);

/// Wraps the function that looks up a variable, in the environment of the process or in the values of a test.
pub(super) struct Environment<'a>(pub &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// An empty variable counts as unset, because `NAME: ${NAME}` in a Compose file sets an undefined variable to an
    /// empty value.
    pub fn get(&self, variable: &'static str) -> Result<Option<String>> {
        Ok(self.get_or_empty(variable)?.filter(|value| !value.is_empty()))
    }

    fn get_or_empty(&self, variable: &'static str) -> Result<Option<String>> {
        let value = (self.0)(variable).map(OsString::into_string).transpose();
        value.map_err(|_| invalid(variable, "is not valid UTF-8"))
    }

    /// Parses the value, or returns `None` if the variable is not set. The error message is "must be {expected}".
    fn parse<T>(
        &self,
        variable: &'static str,
        expected: impl Display,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.get(variable)? else {
            return Ok(None);
        };
        let problem = || invalid(variable, format!("must be {expected}, not {text:?}"));
        parse(&text).map(Some).ok_or_else(problem)
    }

    pub fn number(&self, variable: &'static str, default: u32, range: RangeInclusive<u32>) -> Result<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        Ok(self.parse(variable, expected, parse)?.unwrap_or(default))
    }

    pub fn millis(&self, variable: &'static str, default: u32) -> Result<Duration> {
        let millis = self.number(variable, default, 1..=3_600_000)?;
        Ok(Duration::from_millis(millis.into()))
    }

    pub fn choice<T: FromStr + VariantNames>(&self, variable: &'static str) -> Result<Option<T>> {
        let expected = format!("one of {}", T::VARIANTS.join(", "));
        self.parse(variable, expected, |text| text.parse().ok())
    }

    pub fn url(&self, variable: &'static str, default: &str) -> Result<Url> {
        let text = self.get(variable)?;
        parse_http_url(text.as_deref().unwrap_or(default)).map_err(|problem| invalid(variable, problem))
    }

    /// Issuers and audiences are compared exactly. `*` is refused, because it would not act as a wildcard.
    pub fn identifiers(&self, variable: &'static str, default: &str) -> Result<Vec<String>> {
        let items = self.list(variable, default)?;
        if items.iter().any(|item| item.contains('*')) {
            let problem = "must be exact values, separated by commas: * is not a wildcard";
            return Err(invalid(variable, problem));
        }
        Ok(items)
    }

    pub fn origins(&self, variable: &'static str, default: &str) -> Result<Vec<String>> {
        let origin = |item: &String| {
            if item.contains('*') {
                let problem =
                    "must list each origin: * would allow every website to act for a signed-in user";
                return Err(invalid(variable, problem));
            }
            let url = parse_http_url(item).map_err(|problem| invalid(variable, problem))?;
            let origin = origin_of(&url);
            if url.as_str() != format!("{origin}/") {
                let item = without_secrets(item);
                let problem = format!("must be origins (only scheme, host and port), not {item}");
                return Err(invalid(variable, problem));
            }
            Ok(origin)
        };
        self.list(variable, default)?.iter().map(origin).collect()
    }

    /// Reads a comma-separated list. An empty item is an error, because it is probably a mistake.
    fn list(&self, variable: &'static str, default: &str) -> Result<Vec<String>> {
        let text = self.get(variable)?.unwrap_or_else(|| default.into());
        let items: Vec<String> = text.split(',').map(|item| item.trim().into()).collect();
        if items.iter().any(String::is_empty) {
            let problem = "has an empty item: write A,B without another comma";
            return Err(invalid(variable, problem));
        }
        Ok(items)
    }

    pub fn listen(&self) -> Result<SocketAddr> {
        let port = self.number("PORT", 8_000, 0..=65_535)? as u16;
        let expected = "an IP address of this machine, such as 127.0.0.1 or 0.0.0.0";
        // Other host names are not resolved, because a misspelled name would delay the start until the DNS request
        // times out.
        let parse = |host: &str| match host {
            "localhost" => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
            address => address.parse().ok(),
        };
        let ip = self.parse("HOST", expected, parse)?;
        Ok((ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), port).into())
    }

    pub fn address(&self, variable: &'static str) -> Result<Option<SocketAddr>> {
        let expected = "an address and a port, such as 127.0.0.1:9464";
        let parse = |text: &str| match text {
            "off" => Some(None),
            address => address.parse().ok().map(Some),
        };
        Ok(self.parse(variable, expected, parse)?.flatten())
    }

    pub fn limit(&self, variable: &'static str) -> Result<Option<u32>> {
        match self.get(variable)?.as_deref() {
            None | Some("off") => Ok(None),
            Some(_) => self.number(variable, 1, 1..=1_000_000).map(Some),
        }
    }

    pub fn log_filter(&self, variable: &'static str, default: &str) -> Result<String> {
        let text = self.get(variable)?.unwrap_or_else(|| default.into());
        env_filter::Builder::new()
            .try_parse(&text)
            .map_err(|error| invalid(variable, format!("is not a log filter: {error}")))?;
        Ok(text)
    }

    /// An empty `DATABASE_URL` or file is an error. If the default were used instead, a production service would
    /// store all tasks in a file in its container, and lose them with the next deployment. `parameters` returns the
    /// parameters that a PostgreSQL URL has by default.
    pub fn database_url(&self, parameters: impl FnOnce() -> Result<Parameters>) -> Result<DatabaseUrl> {
        const VARIABLE: &str = "DATABASE_URL";
        const FILE: &str = "DATABASE_URL_FILE";
        let given = match self.secret_text(VARIABLE, FILE)? {
            None if self.get(FILE)?.is_some() => return Err(invalid(FILE, "the file is empty")),
            None => self.get_or_empty(VARIABLE)?.map(|text| (text, VARIABLE)),
            given => given,
        };
        let (text, variable) = given.unwrap_or_else(|| ("sqlite://data/todo.db".into(), VARIABLE));
        let parameters = match text.starts_with("postgres") {
            true => parameters()?,
            false => Parameters::new(),
        };
        DatabaseUrl::parse(&text, parameters).map_err(|problem| invalid(variable, problem))
    }

    /// `off` disabled prepared statements in version 0.1.0. This value is now an error, because the service needs
    /// prepared statements.
    pub fn check_prepared_statements(&self) -> Result<()> {
        const VARIABLE: &str = "DATABASE_PREPARED_STATEMENTS";
        match self.get(VARIABLE)?.as_deref() {
            None | Some("auto" | "on") => Ok(()),
            Some(_) => Err(invalid(
                VARIABLE,
                "is not supported any more: statements are always prepared. Remove it; a transaction pooler must \
                 support protocol-level prepared statements (PgBouncer from 1.21 on, with \
                 max_prepared_statements set)",
            )),
        }
    }

    /// Reads the password that replaces the one in the URL. `PGPASSWORD` has the lowest precedence, as in libpq.
    pub fn database_password(&self, url: &DatabaseUrl) -> Result<Option<Secret>> {
        let in_url = matches!(url, DatabaseUrl::Postgres(url) if url.has_password());
        let given = match self.secret_text("DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE")? {
            None if !in_url => self.get_sourced("PGPASSWORD")?,
            given => given,
        };
        match given {
            Some((text, variable)) if text.contains('\0') => {
                Err(invalid(variable, "contains a NUL character"))
            }
            given => Ok(given.map(|(text, _)| Secret::new(text))),
        }
    }

    /// Reads a secret from `variable`, or from the file that the variable `file` names.
    pub fn secret_text(&self, variable: &'static str, file: &'static str) -> Result<Option<Sourced>> {
        let direct = self.get_sourced(variable)?;
        let Some(path) = self.get(file)? else {
            return Ok(direct);
        };
        if direct.is_some() {
            return Err(invalid(file, format!("must not be set together with {variable}")));
        }
        // The message does not contain the path, because somebody may have put the secret itself into this variable.
        let text = read_text(&path).map_err(|problem| invalid(file, format!("the file {problem}")))?;
        Ok((!text.is_empty()).then_some((text, file)))
    }

    fn get_sourced(&self, variable: &'static str) -> Result<Option<Sourced>> {
        Ok(self.get(variable)?.map(|text| (text, variable)))
    }
}

/// Reads a file, and removes one line break at its end, because editors and `echo` add one.
fn read_text(path: &str) -> std::result::Result<String, String> {
    const MAX_BYTES: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".into())
}

fn parse_http_url(text: &str) -> std::result::Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    let is_pattern = |host: &str| host.contains(['*', ',']);
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(is_pattern) {
        return Err("must be one URL that starts with http:// or https://".into());
    }
    Ok(url)
}

/// Returns the scheme, host and port, in the format that browsers and Better Auth use.
pub(super) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// dotenvy's own message is not used, because it quotes the line, which may contain a secret.
pub(super) fn dotenv_problem(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, at) => {
            // A line without the name of a variable may be part of a secret that spans several lines.
            let name = line.split_once('=').map_or("", |(name, _)| name.trim());
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let line = if is_name { name } else { "without a variable name" };
            format!("the line {line} is malformed at character {at}; quote the value")
        }
        other => other.to_string(),
    }
}

pub(super) fn invalid(variable: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError {
        variable,
        problem: problem.into(),
    }
}
