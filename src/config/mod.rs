//! The configuration. Other modules take their settings from [`Config`] and do not read the environment. Each field of
//! `Config` names its variable and the default.

#![expect(
    clippy::disallowed_methods,
    reason = "this module reads the settings from the environment"
)]

mod database_url;
mod libpq;
mod postgres_url;
mod private_files;
mod read;
mod redact;
mod secrets;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

pub use database_url::DatabaseUrl;
pub use postgres_url::PostgresUrl;
pub use private_files::{PRIVATE_MODE, create_private_folder, tighten_permissions};
use read::{Environment, origin_of};
pub use redact::without_secrets;
pub use secrets::{Secret, SecretSource, Secrets};
use strum::{EnumString, IntoStaticStr, VariantNames};
use url::Url;

/// An invalid setting. The message is one line that names the variable and describes the problem.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub problem: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL` or `DATABASE_URL_FILE`, default `sqlite://data/todo.db`; with `PGSSLMODE` and `PGSSLROOTCERT` as
    /// defaults of its parameters
    pub database_url: DatabaseUrl,
    /// `DATABASE_PASSWORD` or `DATABASE_PASSWORD_FILE`, which replace the password in the URL; default `PGPASSWORD` if
    /// the URL contains no password
    pub database_password: Option<Secret>,
    /// `DATABASE_POOL_SIZE`, default 8
    pub pool_size: u32,
    /// `DATABASE_ACQUIRE_TIMEOUT_MS`, default 2000
    pub acquire_timeout: Duration,
    /// `DATABASE_STATEMENT_TIMEOUT_MS`, default 5000
    pub statement_timeout: Duration,
    /// The variables of libpq that are set but not supported
    pub ignored_variables: Vec<&'static str>,

    /// `BETTER_AUTH_SECRETS` or `BETTER_AUTH_SECRET`, each also with `_FILE`. With SQLite, the default is a random
    /// secret, which is created when the service or the command `token` first needs one
    pub secret_source: SecretSource,
    /// `BETTER_AUTH_URL`, default `http://localhost:3000`: the URL of the frontend. The next four defaults depend on
    /// this URL
    pub frontend_url: String,
    /// `BETTER_AUTH_JWKS_URL`, default `BETTER_AUTH_URL` followed by `/api/auth/jwks`, or by `/jwks` if
    /// `BETTER_AUTH_URL` has a path
    pub jwks_url: String,
    /// `JWT_ISSUER`, comma separated, default the origin of `BETTER_AUTH_URL`
    pub issuers: Vec<String>,
    /// `JWT_AUDIENCE`, comma separated, default the origin of `BETTER_AUTH_URL`
    pub audiences: Vec<String>,
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
    /// Reads `.env` and the environment, which takes precedence.
    pub fn load() -> Result<Self, ConfigError> {
        match dotenvy::from_path(".env") {
            Err(error) if !error.not_found() => Err(ConfigError {
                variable: ".env",
                problem: format!("cannot be read: {}", read::dotenv_problem(&error)),
            }),
            _ => Self::from_variables(&|variable| std::env::var_os(variable)),
        }
    }

    /// Reads the configuration for the database at `url` instead of `DATABASE_URL`. `DATABASE_PASSWORD` is ignored,
    /// because it must not be sent to another server. `load` must be called first, because it reads `.env`.
    pub fn for_database(url: &str) -> Result<Self, ConfigError> {
        Self::from_variables(&|variable| match variable {
            "DATABASE_URL" => Some(url.into()),
            "DATABASE_URL_FILE" | "DATABASE_PASSWORD" | "DATABASE_PASSWORD_FILE" => None,
            _ => std::env::var_os(variable),
        })
    }

    /// Reads variables through `lookup`, for tests and programs that embed the service.
    pub fn from_variables(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let env = Environment(lookup);
        let frontend = env.url("BETTER_AUTH_URL", "http://localhost:3000")?;
        let origin = origin_of(&frontend);
        let database_url = env.database_url(|| libpq::defaults(&env))?;
        env.check_prepared_statements()?;
        Ok(Self {
            pool_size: env.number("DATABASE_POOL_SIZE", 8, 2..=1_000)?,
            acquire_timeout: env.millis("DATABASE_ACQUIRE_TIMEOUT_MS", 2_000)?,
            statement_timeout: env.millis("DATABASE_STATEMENT_TIMEOUT_MS", 5_000)?,
            ignored_variables: libpq::ignored_variables(&env, &database_url),
            database_password: env.database_password(&database_url)?,
            jwks_url: env
                .url("BETTER_AUTH_JWKS_URL", &default_jwks_url(&frontend))?
                .into(),
            frontend_url: frontend.into(),
            issuers: env.identifiers("JWT_ISSUER", &origin)?,
            audiences: env.identifiers("JWT_AUDIENCE", &origin)?,
            allowed_origins: env.origins("CORS_ALLOWED_ORIGINS", &origin)?,
            listen: env.listen()?,
            rate_limit_per_minute: env.limit("RATE_LIMIT_PER_MINUTE")?,
            metrics_addr: env.address("METRICS_ADDR")?,
            log_format: env.choice("LOG_FORMAT")?.unwrap_or_default(),
            log_filter: env.log_filter("RUST_LOG", "info")?,
            secret_source: SecretSource::read(&env, &database_url),
            database_url,
        })
    }

    /// Returns the configuration without secrets, one line per variable.
    pub fn describe(&self) -> String {
        let password = match &self.database_password {
            Some(_) => "(hidden, set)",
            None => "(from DATABASE_URL)",
        };
        let millis = |duration: Duration| duration.as_millis().to_string();
        [
            ("DATABASE_URL", self.database_url.to_string()),
            ("DATABASE_PASSWORD", password.into()),
            ("DATABASE_POOL_SIZE", self.pool_size.to_string()),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", millis(self.acquire_timeout)),
            ("DATABASE_STATEMENT_TIMEOUT_MS", millis(self.statement_timeout)),
            ("BETTER_AUTH_SECRET", self.secret_source.describe()),
            ("BETTER_AUTH_URL", without_secrets(&self.frontend_url)),
            ("BETTER_AUTH_JWKS_URL", without_secrets(&self.jwks_url)),
            ("JWT_ISSUER", self.issuers.join(",")),
            ("JWT_AUDIENCE", self.audiences.join(",")),
            ("CORS_ALLOWED_ORIGINS", self.allowed_origins.join(",")),
            ("HOST", self.listen.ip().to_string()),
            ("PORT", self.listen.port().to_string()),
            ("RATE_LIMIT_PER_MINUTE", or_off(self.rate_limit_per_minute)),
            ("METRICS_ADDR", or_off(self.metrics_addr)),
            ("LOG_FORMAT", self.log_format.into_str().into()),
            ("RUST_LOG", self.log_filter.clone()),
        ]
        .map(|(variable, value)| format!("{variable}={value}\n"))
        .concat()
    }
}

fn or_off(setting: Option<impl ToString>) -> String {
    setting.map_or_else(|| "off".into(), |value| value.to_string())
}

/// Better Auth serves its key set below the path of its base URL, which is `/api/auth` by default.
fn default_jwks_url(frontend: &Url) -> String {
    let path = match frontend.path().trim_end_matches('/') {
        "" => "/api/auth",
        path => path,
    };
    format!("{}{path}/jwks", origin_of(frontend))
}
