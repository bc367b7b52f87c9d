//! Opens connections to PostgreSQL, and detects connection poolers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect_error::ConnectError;
use super::connection::{CheckedClient, PgConnection, Role, spawn_driver};
use crate::config::{Config as ServiceConfig, PostgresUrl};

const MEASURED_ROUND_TRIPS: usize = 3;

/// The timeout of a connection attempt, if the acquire timeout is shorter than this.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens connections for all HTTP workers.
pub struct Connector {
    /// The parameters of a direct connection. They contain the service's startup options, such as the statement
    /// timeout.
    direct: Config,
    /// The parameters of a connection through a pooler. They do not contain the service's startup options,
    /// because some poolers reject them and others ignore them.
    pooled: Config,
    tls: MakeRustlsConnect,
    statement_timeout: Duration,
    /// The maximum duration of [`Self::connect`], including all checks.
    connect_timeout: Duration,
    /// Set when a pooler is detected. All later connections use the parameters for a pooler.
    is_pooler_detected: AtomicBool,
    is_encoding_checked: AtomicBool,
    is_encoding_refused: AtomicBool,
}

impl Connector {
    pub fn new(url: &PostgresUrl, config: &ServiceConfig) -> Self {
        let statement_timeout = config.statement_timeout;
        let connect_timeout = config.acquire_timeout.max(MIN_CONNECT_TIMEOUT);
        let mut pooled = with_defaults(&url.config, connect_timeout, statement_timeout);
        if let Some(password) = &config.database_password {
            pooled.password(password.as_str());
        }
        let mut direct = pooled.clone();
        // These are startup options and not `SET` statements. Behind a pooler, the effect of a `SET` would stay
        // on the server connection, which other clients use next. The isolation level is set because all queries
        // are written for it, and the server's default may differ.
        let service_options = format!(
            "-c statement_timeout={} -c default_transaction_isolation=read\\ committed",
            statement_timeout.as_millis()
        );
        direct.options(match pooled.get_options() {
            Some(url_options) => format!("{url_options} {service_options}"),
            None => service_options,
        });
        Self {
            direct,
            pooled,
            tls: url.tls.clone(),
            statement_timeout,
            connect_timeout,
            is_pooler_detected: AtomicBool::new(false),
            is_encoding_checked: AtomicBool::new(false),
            is_encoding_refused: AtomicBool::new(false),
        }
    }

    /// Whether the server enforces the statement timeout. Behind a pooler it may not, so the service then
    /// enforces the timeout itself.
    pub fn server_enforces_statement_timeout(&self) -> bool {
        !self.is_pooler_detected.load(Ordering::Relaxed)
    }

    /// Whether the server was reached and the database's encoding is not UTF-8, so that it cannot store every
    /// text.
    pub fn has_refused_encoding(&self) -> bool {
        self.is_encoding_refused.load(Ordering::Relaxed)
    }

    /// Opens a connection for the statements of the service. `losses` is the current count of lost connections.
    pub async fn connect(&self, role: Role, losses: u64) -> Result<PgConnection, ConnectError> {
        let attempt = async {
            let checked = self.open().await?;
            PgConnection::new(checked, role, self.tls.clone(), losses).await
        };
        let outcome = tokio::time::timeout(self.connect_timeout, attempt).await;
        outcome.unwrap_or_else(|_| Err(ConnectError("it does not answer in time".into())))
    }

    /// Opens a connection and checks it. The result is not a Diesel connection yet, because Diesel executes named
    /// statements as soon as it gets a connection. A pooler that does not support them must be detected before that.
    pub async fn open(&self) -> Result<CheckedClient, ConnectError> {
        let config = match self.server_enforces_statement_timeout() {
            true => &self.direct,
            false => &self.pooled,
        };
        let checked = match self.connect_client(config).await {
            Err(error) if is_startup_parameter_error(&error) => {
                self.record_pooler();
                self.connect_client(&self.pooled).await?
            }
            connected => connected?,
        };
        if !self.is_encoding_checked.load(Ordering::Relaxed) {
            self.check_server(&checked.client).await?;
        }
        if !self.server_enforces_statement_timeout() {
            check_prepared_statements(&checked.client).await?;
        }
        Ok(checked)
    }

    async fn connect_client(&self, config: &Config) -> Result<CheckedClient, tokio_postgres::Error> {
        let connected = match config.connect(self.tls.clone()).await {
            // With `prefer`, the connection is tried again without TLS if `pg_hba.conf` rejects TLS, as in libpq.
            Err(error)
                if config.get_ssl_mode() == SslMode::Prefer
                    && error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) =>
            {
                let mut plain = config.clone();
                plain.ssl_mode(SslMode::Disable).connect(self.tls.clone()).await
            }
            connected => connected,
        };
        let (client, driver) = connected?;
        let shutdown = spawn_driver(driver);
        // The minimum of several measurements is used, because on a busy machine most of them are longer than
        // the network's round trip.
        let mut round_trip = Duration::MAX;
        for _ in 0..MEASURED_ROUND_TRIPS {
            let asked = Instant::now();
            client.simple_query("SELECT 1").await?;
            round_trip = round_trip.min(asked.elapsed());
        }
        Ok(CheckedClient {
            client,
            shutdown,
            round_trip,
        })
    }

    /// Fails if the database's encoding is not UTF-8. Also detects a pooler that accepts the startup options but
    /// ignores them, by comparing the server's statement timeout with the requested one.
    async fn check_server(&self, client: &Client) -> Result<(), ConnectError> {
        // `query_typed` uses an unnamed statement, which every pooler supports.
        let rows = client
            .query_typed(
                "SELECT current_setting('server_encoding'), \
                 (SELECT setting FROM pg_settings WHERE name = 'statement_timeout')",
                &[],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| ConnectError("the server returned no settings".into()))?;
        let (encoding, timeout): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if encoding != "UTF8" {
            self.is_encoding_refused.store(true, Ordering::Relaxed);
            return Err(ConnectError(format!(
                "the database's encoding is {encoding}, and must be UTF8: create it with ENCODING 'UTF8'"
            )));
        }
        self.is_encoding_checked.store(true, Ordering::Relaxed);
        if timeout != self.statement_timeout.as_millis().to_string() {
            self.record_pooler();
        }
        Ok(())
    }

    fn record_pooler(&self) {
        if !self.is_pooler_detected.swap(true, Ordering::Relaxed) {
            log::info!("connection pooler detected; enforcing statement timeouts client-side");
        }
    }
}

/// Whether a pooler rejected the startup options. PgBouncer's message is "unsupported startup parameter: …".
fn is_startup_parameter_error(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|error| error.message().contains("startup parameter"))
}

/// Sets the parameters that the URL does not set.
fn with_defaults(config: &Config, connect_timeout: Duration, statement_timeout: Duration) -> Config {
    let mut config = config.clone();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect_timeout);
    }
    if config.get_application_name().is_none() {
        config.application_name("todo-backend");
    }
    // With these parameters, the operating system detects a peer that disappeared without closing the connection,
    // for example because the server was moved or a NAT entry expired. The first parameter applies while sent data
    // is unacknowledged, and the others apply while the connection is idle.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(statement_timeout + Duration::from_secs(1));
    }
    // `Config` does not tell whether this parameter was set, so its default value counts as not set.
    const DEFAULT_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
    if config.get_keepalives_idle() == DEFAULT_KEEPALIVES_IDLE {
        config.keepalives_idle(Duration::from_secs(5));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(2));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
    config
}

/// Fails if the pooler passes the names of prepared statements, such as `s0`, to the server unchanged. Poolers that
/// support prepared statements in transaction mode replace these names.
///
/// If a pooler keeps the names and several clients share a server connection, two replicas may prepare different
/// statements under the same name. Then one replica may execute the other's statement, for example a `DELETE`. The
/// check therefore runs before any named statement is executed: it prepares a named statement but does not execute
/// it, and the statements that it executes are unnamed. The check also refuses such a pooler in session mode,
/// although named statements would be safe there.
async fn check_prepared_statements(client: &Client) -> Result<(), ConnectError> {
    // Within a transaction, the pooler does not change the server connection.
    client.batch_execute("BEGIN").await?;
    let preserves_names = pooler_preserves_statement_names(client).await;
    client.batch_execute("ROLLBACK").await?;
    if preserves_names? {
        return Err(ConnectError(
            "the connection pooler does not support protocol-level prepared statements: use PgBouncer 1.21 or \
             later with max_prepared_statements set, or a direct connection"
                .into(),
        ));
    }
    Ok(())
}

async fn pooler_preserves_statement_names(client: &Client) -> Result<bool, ConnectError> {
    let text = format!("SELECT 'todo-backend {:032x}'", fastrand::u128(..));
    let _prepared = match client.prepare(&text).await {
        Ok(prepared) => prepared,
        // Another client has prepared a statement with the same name on this server connection.
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let named = "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^s[0-9]+$'";
    let rows = client.query_typed(named, &[]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(count > 0)
}
