//! Parses the URL of a PostgreSQL server with libpq's parameter names and meanings.
//!
//! `tokio-postgres` parses such URLs as well, but differently. It reads `tcp_user_timeout` in seconds instead of
//! milliseconds, knows `keepalives_count` only as `keepalives_retries`, and supports neither `sslrootcert` nor the
//! values of `sslmode` that verify a certificate. This module follows libpq, whose manual users read. It splits the URL
//! into parameters, and `tokio-postgres` parses the values of those that mean the same to both.

mod tls;
mod tls_options;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode as Negotiation, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use self::tls::load_certificates;
pub use self::tls_options::SslMode;
use self::tls_options::TlsOptions;

/// The supported parameters. Any other parameter is an error that names it and prevents startup, because ignoring a
/// parameter that increases security, such as `requirepeer`, would be dangerous.
const SUPPORTED: &str = "application_name channel_binding connect_timeout dbname host hostaddr keepalives \
    keepalives_count keepalives_idle keepalives_interval keepalives_retries load_balance_hosts options \
    password port sslcert sslkey sslmode sslnegotiation sslrootcert target_session_attrs tcp_user_timeout user";

/// The values of the parameters by their names.
pub type Parameters = BTreeMap<&'static str, String>;

/// The URL of a PostgreSQL server, and the parameters of all connections to it.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) text: String,
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

impl PostgresUrl {
    /// Parses a URL, and reads the certificate files that it names. `defaults` apply to parameters that are not in the
    /// URL.
    pub fn parse(text: &str, defaults: Parameters) -> Result<Self, String> {
        let ConnectOptions { config, tls } = ConnectOptions::parse(text, defaults)?;
        Ok(Self {
            text: text.into(),
            config,
            tls: tls::new_connector(&tls)?,
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
        parse_into_parameters(url, &mut parameters)?;
        let mut tls = TlsOptions::take_from(&mut parameters)?;
        let mut config = parse_config(parameters)?;
        let (hosts, ports) = (config.get_hosts(), config.get_ports());
        let servers = hosts.len().max(config.get_hostaddrs().len());
        if servers == 0 {
            return Err("names no host".into());
        }
        let addresses = config.get_hostaddrs().len();
        if !hosts.is_empty() && addresses > 0 && addresses != hosts.len() {
            return Err("has another number of addresses (hostaddr) than of hosts".into());
        }
        if ports.contains(&0) {
            return Err(invalid_value("port"));
        }
        if ports.len() > 1 && ports.len() != servers {
            return Err("must have one port, or as many ports as hosts".into());
        }
        // libpq ignores `sslmode` for Unix sockets. tokio-postgres would fail there if `sslmode` requires TLS.
        if !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_))) {
            tls.mode = SslMode::Disable;
        }
        // tokio-postgres would detect these contradictions only when it connects, or would ignore a parameter.
        let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        if is_direct && matches!(tls.mode, SslMode::Disable | SslMode::Prefer) {
            return Err("has sslnegotiation=direct, which needs sslmode=require or stricter".into());
        }
        if config.get_channel_binding() == ChannelBinding::Require && tls.mode == SslMode::Disable {
            return Err("has channel_binding=require, which needs TLS (sslmode)".into());
        }
        config.ssl_mode(match tls.mode {
            SslMode::Disable => Negotiation::Disable,
            SslMode::Prefer => Negotiation::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
        });
        Ok(Self { config, tls })
    }
}

/// Splits a URL such as `postgres://user:password@host:port,host:port/dbname?name=value&name=value` into parameters.
/// If a parameter has several values, the last one is used, as in libpq.
fn parse_into_parameters(url: &str, parameters: &mut Parameters) -> Result<(), String> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (names, ports): (Vec<_>, Vec<_>) = hosts.split(',').map(split_host_and_port).unzip();
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
        let unsupported = || format!("has a parameter that is not supported: {}", printable_name(name));
        parameters.insert(supported.ok_or_else(unsupported)?, percent_decode(value)?);
    }
    Ok(())
}

/// Splits `host:port`. The last colon in an IPv6 address such as `[::1]` does not begin a port.
fn split_host_and_port(text: &str) -> (&str, &str) {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Decodes percent-encoded text. In libpq's URLs, a plus sign does not mean a space, unlike in HTML forms.
fn percent_decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "contains text that is not valid UTF-8".into())
}

/// Returns a parameter's name for an error message. Only a short text of letters, `_` and `-` counts as a name. Other
/// text is replaced, because it may be a part of a password that was not percent-encoded. The message does not
/// contain the parameter's value, which may be a secret.
fn printable_name(name: &str) -> &str {
    let is_of_name = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
    match name.len() <= 40 && name.bytes().all(is_of_name) {
        true => name,
        false => "(no name; percent-encode special characters)",
    }
}

/// Converts the parameters that have another name or meaning in `tokio-postgres`. Most parameters then go through its
/// parser of key/value strings, whose errors name the parameter and do not quote the value.
fn parse_config(mut parameters: Parameters) -> Result<Config, String> {
    let (hosts, millis) = (parameters.remove("host"), parameters.remove("tcp_user_timeout"));
    let mut text = String::new();
    for (name, value) in &parameters {
        let (name, value) = match (*name, value.as_str()) {
            ("keepalives_count", count) => ("keepalives_retries", count),
            // `tokio-postgres` does not support `primary`. `read-write` means the same, except that it refuses a
            // primary whose transactions are read-only by default, to which the service could not write. The parser
            // refuses `standby` and `prefer-standby`, with which the service could not write either.
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
