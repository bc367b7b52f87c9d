//! Parses the URL of a PostgreSQL server with libpq's parameter names and meanings.
//!
//! `tokio-postgres` parses such URLs as well, but differently: it reads `tcp_user_timeout` in seconds instead
//! of milliseconds, calls `keepalives_count` `keepalives_retries`, and supports neither `sslrootcert` nor the
//! values of `sslmode` that verify a certificate. Users follow libpq's manual. An unsupported parameter stops
//! the start and is named, because ignoring one, `sslmode` above all, would be dangerous.

mod tls;
mod values;

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding, Host, LoadBalanceHosts, SslMode as Negotiation, SslNegotiation,
};
use url::form_urlencoded;

pub use self::tls::{RootCertificates, SslMode, TlsOptions};
use self::values::{choice, number, port_of, printable, session_attributes, wrong_value};
use crate::config::LibpqDefaults;

/// The connection parameters, parsed once and used for every connection.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub config: Config,
    pub tls: TlsOptions,
}

impl ConnectOptions {
    /// `password` replaces the one in the URL.
    pub fn parse(url: &str, password: Option<&str>, defaults: &LibpqDefaults) -> Result<Self, String> {
        let mut parameters = Parameters::default();
        let (authority, tail) = split(url);
        parameters.authority(authority)?;
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let database = decoded("the database's name", path.trim_start_matches('/'))?;
        if !database.is_empty() {
            parameters.config.dbname(database);
        }
        for (name, value) in form_urlencoded::parse(escaped_plus(query).as_bytes()) {
            parameters.set(&name, &value)?;
        }
        if let Some(password) = password {
            parameters.config.password(password);
        }
        parameters.finish(defaults)
    }
}

/// Splits a URL into the authority and the rest.
fn split(url: &str) -> (&str, &str) {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    match rest.find(['/', '?']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    }
}

/// In libpq's URLs, a plus sign is not a space as it is in HTML forms.
fn escaped_plus(query: &str) -> String {
    query.replace('+', "%2B")
}

fn decoded(what: &str, text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| format!("has {what} that is not valid UTF-8"))
}

#[derive(Default)]
struct Parameters {
    config: Config,
    hosts: Vec<String>,
    ports: Vec<u16>,
    ssl_mode: Option<String>,
    ssl_root_cert: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
}

impl Parameters {
    /// `user:password@host:port,host:port`
    fn authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        if !name.is_empty() {
            self.config.user(decoded("a user name", name)?);
        }
        if let Some(password) = password {
            self.config.password(decoded("a password", password)?);
        }
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (name, port) = match host.rsplit_once(':') {
                // The colons in `[::1]` do not begin a port.
                Some((name, port)) if !port.ends_with(']') => (name, port),
                _ => (host, ""),
            };
            let name = name.trim_start_matches('[').trim_end_matches(']');
            self.hosts.push(decoded("a host", name)?);
            self.ports.push(port_of(port)?);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let config = &mut self.config;
        let _ = match name {
            "user" => config.user(value),
            "password" => config.password(value),
            "dbname" => config.dbname(value),
            "options" => config.options(value),
            "application_name" => config.application_name(value),
            "host" => {
                self.hosts = value.split(',').map(Into::into).collect();
                config
            }
            "hostaddr" => {
                for address in value.split(',') {
                    config.hostaddr(address.parse().map_err(|_| wrong_value(name))?);
                }
                config
            }
            "port" => {
                self.ports = value.split(',').map(port_of).collect::<Result<_, _>>()?;
                config
            }
            "connect_timeout" => config.connect_timeout(Duration::from_secs(number(name, value)?)),
            "tcp_user_timeout" => config.tcp_user_timeout(Duration::from_millis(number(name, value)?)),
            "keepalives" => config.keepalives(number::<u8>(name, value)? != 0),
            "keepalives_idle" => config.keepalives_idle(Duration::from_secs(number(name, value)?)),
            "keepalives_interval" => config.keepalives_interval(Duration::from_secs(number(name, value)?)),
            "keepalives_count" | "keepalives_retries" => config.keepalives_retries(number(name, value)?),
            "target_session_attrs" => config.target_session_attrs(session_attributes(value)?),
            "channel_binding" => config.channel_binding(choice(
                name,
                value,
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?),
            "load_balance_hosts" => config.load_balance_hosts(choice(
                name,
                value,
                &[
                    ("disable", LoadBalanceHosts::Disable),
                    ("random", LoadBalanceHosts::Random),
                ],
            )?),
            "sslnegotiation" => config.ssl_negotiation(choice(
                name,
                value,
                &[
                    ("postgres", SslNegotiation::Postgres),
                    ("direct", SslNegotiation::Direct),
                ],
            )?),
            "sslmode" => {
                self.ssl_mode = Some(value.into());
                config
            }
            "sslrootcert" => {
                self.ssl_root_cert = Some(value.into());
                config
            }
            "sslcert" => {
                self.ssl_cert = Some(value.into());
                config
            }
            "sslkey" => {
                self.ssl_key = Some(value.into());
                config
            }
            _ => {
                // The message does not quote the value, which may be a misplaced secret.
                return Err(format!(
                    "has a parameter that is not supported: {}",
                    printable(name)
                ));
            }
        };
        Ok(())
    }

    fn finish(mut self, defaults: &LibpqDefaults) -> Result<ConnectOptions, String> {
        if self.hosts.is_empty() && self.config.get_hostaddrs().is_empty() {
            return Err("names no host".into());
        }
        for host in &self.hosts {
            self.config.host(if host.is_empty() { "localhost" } else { host });
        }
        for port in &self.ports {
            self.config.port(*port);
        }
        let hosts = self.hosts.len().max(self.config.get_hostaddrs().len());
        if self.ports.len() > 1 && self.ports.len() != hosts {
            return Err("has another number of ports than of hosts".into());
        }
        let tls = self.tls_options(defaults)?;
        self.config.ssl_mode(match tls.mode {
            SslMode::Disable => Negotiation::Disable,
            SslMode::Prefer => Negotiation::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
        });
        Ok(ConnectOptions {
            config: self.config,
            tls,
        })
    }

    fn only_unix_sockets(&self) -> bool {
        let hosts = self.config.get_hosts();
        !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)))
    }
}

#[cfg(test)]
mod tests;
