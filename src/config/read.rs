//! Reading one variable: what is wrong with it is said in one line that names it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use url::Url;

use super::{ConfigError, DatabaseUrl, Secret};

type Result<T> = std::result::Result<T, ConfigError>;

/// Where variables are looked up: the process's environment, or what a test gives.
pub(super) struct Environment<'a>(pub &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// None where the variable is unset, or empty: composed deployments pass `NAME=` for "not set".
    fn get(&self, variable: &'static str) -> Result<Option<String>> {
        Ok(self.get_or_empty(variable)?.filter(|value| !value.is_empty()))
    }

    fn get_or_empty(&self, variable: &'static str) -> Result<Option<String>> {
        let value = (self.0)(variable).map(OsString::into_string).transpose();
        value.map_err(|_| wrong(variable, "is not valid UTF-8"))
    }

    pub fn number(&self, variable: &'static str, default: u32, range: RangeInclusive<u32>) -> Result<u32> {
        let Some(text) = self.get(variable)? else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (low, high) = range.into_inner();
                wrong(
                    variable,
                    format!("must be a whole number from {low} to {high}, not {text:?}"),
                )
            })
    }

    pub fn millis(&self, variable: &'static str, default: u32) -> Result<Duration> {
        let millis = self.number(variable, default, 1..=3_600_000)?;
        Ok(Duration::from_millis(millis.into()))
    }

    pub fn choice<T: Copy>(&self, variable: &'static str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.get(variable)? else {
            return Ok(default);
        };
        let found = choices.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            wrong(
                variable,
                format!("must be one of {}, not {text:?}", names.join(", ")),
            )
        })
    }

    pub fn url(&self, variable: &'static str, default: &str) -> Result<Url> {
        let text = self.get(variable)?;
        parse_http_url(text.as_deref().unwrap_or(default)).map_err(|problem| wrong(variable, problem))
    }

    /// An issuer or an audience: compared letter by letter, so it may be any text but a wildcard.
    pub fn identifier(&self, variable: &'static str, default: &str) -> Result<String> {
        let text = self.get(variable)?.unwrap_or_else(|| default.into());
        if text.contains('*') || text.trim() != text {
            return Err(wrong(
                variable,
                "must be the exact value that tokens carry: no * and no spaces around it",
            ));
        }
        Ok(text)
    }

    pub fn origins(&self, variable: &'static str, default: &str) -> Result<Vec<String>> {
        let text = self.get(variable)?.unwrap_or_else(|| default.into());
        text.split(',')
            .map(|item| {
                let item = item.trim();
                if item.contains('*') {
                    return Err(wrong(
                        variable,
                        "must name each origin: * would let any page act for a signed-in user",
                    ));
                }
                let url = parse_http_url(item).map_err(|problem| wrong(variable, problem))?;
                let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
                if !bare || !url.username().is_empty() || url.password().is_some() {
                    return Err(wrong(
                        variable,
                        format!("must be origins (scheme, host and port alone), not {item:?}"),
                    ));
                }
                Ok(origin_of(&url))
            })
            .collect()
    }

    pub fn listen(
        &self,
        host_variable: &'static str,
        default_host: &str,
        port_variable: &'static str,
        default_port: u16,
    ) -> Result<SocketAddr> {
        let port = self.number(port_variable, default_port.into(), 0..=65_535)? as u16;
        let host = self.get(host_variable)?.unwrap_or_else(|| default_host.into());
        // No other names: what they mean is DNS's to say, and a typing error would wait for its answer.
        let ip = match host.as_str() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            text => text.parse::<IpAddr>().ok(),
        };
        ip.map(|ip| (ip, port).into()).ok_or_else(|| {
            wrong(
                host_variable,
                format!("must be an IP address of this machine, such as 127.0.0.1 or 0.0.0.0, not {host:?}"),
            )
        })
    }

    pub fn address(&self, variable: &'static str) -> Result<Option<SocketAddr>> {
        let text = self.get(variable)?.filter(|text| text != "off");
        text.map(|text| {
            text.parse().map_err(|_| {
                wrong(
                    variable,
                    format!("must be an address and a port, such as 127.0.0.1:9464, not {text:?}"),
                )
            })
        })
        .transpose()
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
            .map_err(|error| wrong(variable, format!("is not a log filter: {error}")))?;
        Ok(text)
    }

    /// Empty is refused here and not read as unset: a production service that quietly falls back to a
    /// file in its container loses everything at the next deployment.
    pub fn database_url(&self, variable: &'static str, default: &str) -> Result<DatabaseUrl> {
        let text = self.get_or_empty(variable)?;
        DatabaseUrl::parse(text.as_deref().unwrap_or(default)).map_err(|problem| wrong(variable, problem))
    }

    pub fn secret(
        &self,
        variable: &'static str,
        database: &DatabaseUrl,
        missing: MissingSecret,
    ) -> Result<(Secret, Option<PathBuf>)> {
        let hint = "write the frontend's BETTER_AUTH_SECRET here (a new one: openssl rand -base64 32)";
        match (self.get_or_empty(variable)?, database.sqlite_file()) {
            (Some(text), _) if text.len() < Secret::MIN_BYTES => Err(wrong(
                variable,
                format!(
                    "has {} bytes and needs at least {}: {hint}",
                    text.len(),
                    Secret::MIN_BYTES
                ),
            )),
            (Some(text), _) => Ok((Secret(text), None)),
            (None, None) => Err(wrong(variable, format!("is missing: {hint}"))),
            (None, Some(file)) => {
                let mut path = file.as_os_str().to_owned();
                path.push(".secret");
                let path = PathBuf::from(path);
                if missing == MissingSecret::IsAnError && matches!(path.try_exists(), Ok(false)) {
                    let problem = format!(
                        "is not set, and there is no {}: run this where the service runs",
                        path.display()
                    );
                    return Err(wrong(variable, problem));
                }
                let secret = kept_secret(&path).map_err(|error| {
                    wrong(
                        variable,
                        format!("is not set, and {} cannot be used: {error}", path.display()),
                    )
                })?;
                Ok((secret, Some(path)))
            }
        }
    }
}

/// What becomes of an embedded database's secret that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingSecret {
    IsMade,
    IsAnError,
}

/// The secret beside the embedded database, made when it is missing. Written in full under another name
/// and then linked: of two processes that start at once, one wins and both read the same.
fn kept_secret(path: &Path) -> io::Result<Secret> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if !path.exists() {
        let mut bytes = [0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(BASE64_URL_SAFE_NO_PAD.encode(bytes).as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let text = fs::read_to_string(path)?;
    let text = text.trim();
    if text.len() < Secret::MIN_BYTES {
        return Err(io::Error::other("it holds no secret; delete it to get a new one"));
    }
    Ok(Secret(text.into()))
}

fn parse_http_url(text: &str) -> std::result::Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    let no_name = |host: &str| host.contains(['*', ',']);
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(no_name) {
        return Err("must be one URL that starts with http:// or https://".into());
    }
    Ok(url)
}

/// Scheme, host and port, as browsers and Better Auth write them.
pub(super) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// For the log: what stands before an `@` and behind a `?` may be secret.
pub fn without_secrets(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.into();
    };
    if !url.username().is_empty() || url.password().is_some() {
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.into()
}

/// dotenvy's own message quotes the line, which may hold a secret.
pub(super) fn dotenv_problem(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, at) => {
            // A line without a name may be the rest of a secret.
            let name = line.split_once('=').map_or("", |(name, _)| name.trim());
            let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let which = if named { name } else { "(one without a name)" };
            format!("the line of {which} is malformed at character {at}; quote the value")
        }
        other => other.to_string(),
    }
}

fn wrong(variable: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError {
        variable,
        problem: problem.into(),
    }
}
