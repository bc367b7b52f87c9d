//! Parses the URL of a PostgreSQL server with libpq's parameter names and meanings.
//!
//! `tokio-postgres` parses such URLs as well, but differently: it reads `tcp_user_timeout` in seconds instead
//! of milliseconds, calls `keepalives_count` `keepalives_retries`, and supports neither `sslrootcert` nor the
//! values of `sslmode` that verify a certificate. Users follow libpq's manual. So the URL is split into its
//! parameters here, and `tokio-postgres` parses the values of those that it shares with libpq.

mod tls;
mod tls_options;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Negotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use self::tls::certificates;
pub use self::tls_options::SslMode;
use self::tls_options::TlsOptions;

/// Any other parameter stops the start and is named, because it would be dangerous to ignore one that demands
/// security, such as `requirepeer`.
const SUPPORTED: &str = "application_name channel_binding connect_timeout dbname host hostaddr keepalives \
    keepalives_count keepalives_idle keepalives_interval keepalives_retries load_balance_hosts options \
    password port sslcert sslkey sslmode sslnegotiation sslrootcert target_session_attrs tcp_user_timeout user";

/// The values of a URL by the name of the parameter.
pub type Parameters = BTreeMap<&'static str, String>;

/// The URL of a server, parsed once, and what every connection to it needs.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) text: String,
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

impl PostgresUrl {
    /// Reads the certificate files that the URL names. `defaults` are for parameters that are not in the URL.
    pub fn parse(text: &str, defaults: Parameters) -> Result<Self, String> {
        let ConnectOptions { config, tls } = ConnectOptions::parse(text, defaults)?;
        Ok(Self {
            text: text.into(),
            config,
            tls: tls::connector(&tls)?,
        })
    }

    pub fn has_password(&self) -> bool {
        self.config
            .get_password()
            .is_some_and(|password| !password.is_empty())
    }
}

#[derive(Debug)]
struct ConnectOptions {
    config: Config,
    tls: TlsOptions,
}

impl ConnectOptions {
    fn parse(url: &str, mut parameters: Parameters) -> Result<Self, String> {
        add_parameters(url, &mut parameters)?;
        let mut tls = TlsOptions::take_from(&mut parameters)?;
        let mut config = config_of(parameters)?;
        let (hosts, ports) = (config.get_hosts(), config.get_ports());
        let servers = hosts.len().max(config.get_hostaddrs().len());
        if servers == 0 {
            return Err("names no host".into());
        }
        if ports.contains(&0) {
            return Err(invalid_value("port"));
        }
        if ports.len() > 1 && ports.len() != servers {
            return Err("has another number of ports than of hosts".into());
        }
        // libpq ignores `sslmode` for Unix sockets, but tokio-postgres would fail.
        if !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_))) {
            tls.mode = SslMode::Disable;
        }
        config.ssl_mode(match tls.mode {
            SslMode::Disable => Negotiation::Disable,
            SslMode::Prefer => Negotiation::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
        });
        Ok(Self { config, tls })
    }
}

/// Splits `postgres://user:password@host:port,host:port/dbname?name=value&name=value`. As in libpq, the last
/// value of a parameter counts.
fn add_parameters(url: &str, parameters: &mut Parameters) -> Result<(), String> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (names, ports): (Vec<_>, Vec<_>) = hosts.split(',').map(host_and_port).unzip();
    let (names, ports) = (names.join(","), ports.join(","));

    let login = [
        ("user", user),
        ("password", password),
        ("dbname", path.trim_start_matches('/')),
    ];
    let login = login.into_iter().filter(|(_, value)| !value.is_empty());
    let servers = [("host", names.as_str()), ("port", ports.as_str())];
    let servers = servers.into_iter().filter(|_| !hosts.is_empty());
    let query = query.split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));

    for (name, value) in login.chain(servers).chain(query) {
        let supported = SUPPORTED.split(' ').find(|supported| *supported == name);
        let unsupported = || format!("has a parameter that is not supported: {}", printable(name));
        parameters.insert(supported.ok_or_else(unsupported)?, decoded(value)?);
    }
    Ok(())
}

/// The colons in `[::1]` do not begin a port.
fn host_and_port(text: &str) -> (&str, &str) {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// In libpq's URLs, a plus sign is not a space as it is in HTML forms.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "contains text that is not valid UTF-8".into())
}

/// The value of an unsupported parameter is never quoted, because it may be a misplaced secret. Neither is a name
/// that cannot be a parameter's, because it may be the rest of an unescaped password.
fn printable(name: &str) -> &str {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match name.len() <= 40 && name.bytes().all(is_of_name) {
        true => name,
        false => "(no name; percent-encode special characters)",
    }
}

/// Translates what means something else to `tokio-postgres`, and leaves the rest to its parser of key/value
/// strings, whose errors name the parameter but do not quote the value.
fn config_of(mut parameters: Parameters) -> Result<Config, String> {
    let (hosts, millis) = (parameters.remove("host"), parameters.remove("tcp_user_timeout"));
    let mut text = String::new();
    for (name, value) in &parameters {
        let (name, value) = match (*name, value.as_str()) {
            ("keepalives_count", count) => ("keepalives_retries", count),
            // Unlike `primary`, `read-write` refuses a primary whose transactions are read-only by default, which
            // would be of no use to the service. Neither would be a standby, whose values the parser refuses.
            ("target_session_attrs", "primary") => (*name, "read-write"),
            unchanged => unchanged,
        };
        let escaped = value.replace('\\', r"\\").replace('\'', r"\'");
        text += &format!("{name}='{escaped}' ");
    }
    let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
        let cause = error.into_source();
        cause.map_or_else(String::new, |cause| format!("has an {cause}"))
    })?;
    for host in hosts.iter().flat_map(|hosts| hosts.split(',')) {
        config.host(if host.is_empty() { "localhost" } else { host });
    }
    if let Some(millis) = millis {
        let millis = millis.parse().map_err(|_| invalid_value("tcp_user_timeout"))?;
        config.tcp_user_timeout(Duration::from_millis(millis));
    }
    Ok(config)
}

fn invalid_value(name: &str) -> String {
    format!("has an invalid value for option `{name}`")
}

#[cfg(test)]
mod tests;
