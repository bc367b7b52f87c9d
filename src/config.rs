//! The configuration: read once, from here alone. Every field states its variable and its default.

mod database_url;
mod read;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use database_url::{DatabaseUrl, may_hold_a_secret};
pub use read::without_secrets;
use read::{Environment, MissingSecret, origin_of};

/// One line that names the variable and says what to write there.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub problem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparedStatements {
    Auto,
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The secret that HS256 tokens are signed with. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub const MIN_BYTES: usize = 32;

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL`, default `sqlite://data/todo.db`
    pub database_url: DatabaseUrl,
    /// `DATABASE_POOL_SIZE`, default 8
    pub pool_size: u32,
    /// `DATABASE_ACQUIRE_TIMEOUT_MS`, default 2000
    pub acquire_timeout: Duration,
    /// `DATABASE_STATEMENT_TIMEOUT_MS`, default 5000
    pub statement_timeout: Duration,
    /// `DATABASE_PREPARED_STATEMENTS`, default `auto`
    pub prepared_statements: PreparedStatements,

    /// `BETTER_AUTH_SECRET`; with the embedded database a random one is made where it is missing
    pub secret: Secret,
    /// Where that random one lies.
    pub secret_file: Option<PathBuf>,
    /// `BETTER_AUTH_URL`, default `http://localhost:3000`: the frontend, from which the next four follow
    pub frontend_url: String,
    /// `BETTER_AUTH_JWKS_URL`, default `/api/auth/jwks` there
    pub jwks_url: String,
    /// `JWT_ISSUER`, default the origin of `BETTER_AUTH_URL`
    pub issuer: String,
    /// `JWT_AUDIENCE`, default as the issuer
    pub audience: String,
    /// `CORS_ALLOWED_ORIGINS`, comma separated, default the origin of `BETTER_AUTH_URL`
    pub allowed_origins: Vec<String>,

    /// `HOST` and `PORT`, default `127.0.0.1` and 8000
    pub listen: SocketAddr,
    /// `RATE_LIMIT_PER_MINUTE`, default off
    pub rate_limit_per_minute: Option<u32>,
    /// `METRICS_ADDR`, default off
    pub metrics_addr: Option<SocketAddr>,
    /// `LOG_FORMAT`, default `text`
    pub log_format: LogFormat,
    /// `RUST_LOG`, default `info`
    pub log_filter: String,
}

impl Config {
    /// Reads `.env` and the environment, which wins. Makes the embedded database's secret if need be.
    pub fn load() -> Result<Self, ConfigError> {
        Self::load_with(MissingSecret::IsMade)
    }

    /// The same for whoever wants to know what a service goes by: a secret that was just made says nothing.
    pub fn load_as_it_is() -> Result<Self, ConfigError> {
        Self::load_with(MissingSecret::IsAnError)
    }

    fn load_with(missing: MissingSecret) -> Result<Self, ConfigError> {
        match dotenvy::from_path(".env") {
            Err(error) if !error.not_found() => Err(ConfigError {
                variable: ".env",
                problem: format!("cannot be read: {}", read::dotenv_problem(&error)),
            }),
            _ => Self::read(&Environment(&|variable| std::env::var_os(variable)), missing),
        }
    }

    /// From variables that are looked up elsewhere than in the environment.
    pub fn from_variables(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        Self::read(&Environment(lookup), MissingSecret::IsMade)
    }

    fn read(env: &Environment<'_>, missing: MissingSecret) -> Result<Self, ConfigError> {
        let frontend = env.url("BETTER_AUTH_URL", "http://localhost:3000")?;
        let origin = origin_of(&frontend);
        let jwks_default = format!("{origin}/api/auth/jwks");
        let database_url = env.database_url("DATABASE_URL", "sqlite://data/todo.db")?;
        let (secret, secret_file) = env.secret("BETTER_AUTH_SECRET", &database_url, missing)?;
        Ok(Self {
            pool_size: env.number("DATABASE_POOL_SIZE", 8, 1..=1_000)?,
            acquire_timeout: env.millis("DATABASE_ACQUIRE_TIMEOUT_MS", 2_000)?,
            statement_timeout: env.millis("DATABASE_STATEMENT_TIMEOUT_MS", 5_000)?,
            prepared_statements: env.choice(
                "DATABASE_PREPARED_STATEMENTS",
                PreparedStatements::Auto,
                &[
                    ("auto", PreparedStatements::Auto),
                    ("on", PreparedStatements::On),
                    ("off", PreparedStatements::Off),
                ],
            )?,
            frontend_url: frontend.into(),
            jwks_url: env.url("BETTER_AUTH_JWKS_URL", &jwks_default)?.into(),
            issuer: env.identifier("JWT_ISSUER", &origin)?,
            audience: env.identifier("JWT_AUDIENCE", &origin)?,
            allowed_origins: env.origins("CORS_ALLOWED_ORIGINS", &origin)?,
            listen: env.listen("HOST", "127.0.0.1", "PORT", 8_000)?,
            rate_limit_per_minute: env.limit("RATE_LIMIT_PER_MINUTE")?,
            metrics_addr: env.address("METRICS_ADDR")?,
            log_format: env.choice(
                "LOG_FORMAT",
                LogFormat::Text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            log_filter: env.log_filter("RUST_LOG", "info")?,
            database_url,
            secret,
            secret_file,
        })
    }

    /// What is in force, a line each, with nothing in it that must stay secret.
    pub fn describe(&self) -> String {
        let secret = match &self.secret_file {
            Some(file) => format!("(hidden, from {})", file.display()),
            None => "(hidden, set)".into(),
        };
        let off = || "off".to_string();
        [
            ("DATABASE_URL", self.database_url.to_string()),
            ("DATABASE_POOL_SIZE", self.pool_size.to_string()),
            (
                "DATABASE_ACQUIRE_TIMEOUT_MS",
                self.acquire_timeout.as_millis().to_string(),
            ),
            (
                "DATABASE_STATEMENT_TIMEOUT_MS",
                self.statement_timeout.as_millis().to_string(),
            ),
            (
                "DATABASE_PREPARED_STATEMENTS",
                format!("{:?}", self.prepared_statements).to_lowercase(),
            ),
            ("BETTER_AUTH_SECRET", secret),
            ("BETTER_AUTH_URL", without_secrets(&self.frontend_url)),
            ("BETTER_AUTH_JWKS_URL", without_secrets(&self.jwks_url)),
            ("JWT_ISSUER", self.issuer.clone()),
            ("JWT_AUDIENCE", self.audience.clone()),
            ("CORS_ALLOWED_ORIGINS", self.allowed_origins.join(",")),
            ("HOST", self.listen.ip().to_string()),
            ("PORT", self.listen.port().to_string()),
            (
                "RATE_LIMIT_PER_MINUTE",
                self.rate_limit_per_minute
                    .map_or_else(off, |limit| limit.to_string()),
            ),
            (
                "METRICS_ADDR",
                self.metrics_addr.map_or_else(off, |addr| addr.to_string()),
            ),
            ("LOG_FORMAT", format!("{:?}", self.log_format).to_lowercase()),
            ("RUST_LOG", self.log_filter.clone()),
        ]
        .map(|(variable, value)| format!("{variable}={value}\n"))
        .concat()
    }

    /// The file of the embedded database, if that is what is in use.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.database_url.sqlite_file()
    }
}
