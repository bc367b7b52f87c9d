//! Opens connections, and finds out what lies between the service and the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect_error::ConnectError;
use super::connection::{Checked, PgConnection, Role, drive};
use crate::config::{Config as ServiceConfig, PostgresUrl};

const ROUND_TRIPS_MEASURED: usize = 3;

/// Opens connections for all HTTP workers.
pub struct Connector {
    /// With startup options such as the statement timeout, for a direct connection.
    direct: Config,
    /// Without them, for a pooler, which rejects or ignores them.
    pooled: Config,
    tls: MakeRustlsConnect,
    statement_timeout: Duration,
    /// The time limit of an attempt, all checks included.
    patience: Duration,
    /// A pooler was detected, so the startup options are omitted.
    pooler_found: AtomicBool,
    encoding_checked: AtomicBool,
    encoding_refused: AtomicBool,
}

impl Connector {
    pub fn new(url: &PostgresUrl, config: &ServiceConfig) -> Self {
        let (connect_timeout, statement_timeout) = (config.acquire_timeout, config.statement_timeout);
        let mut pooled = with_defaults(&url.config, connect_timeout, statement_timeout);
        if let Some(password) = &config.database_password {
            pooled.password(password.as_str());
        }
        let mut direct = pooled.clone();
        // Startup options instead of `SET`, which behind a pooler would stay on a server connection that other
        // clients use next. All queries are written for this isolation level, whatever the server's default is.
        let ours = format!(
            "-c statement_timeout={} -c default_transaction_isolation=read\\ committed",
            statement_timeout.as_millis()
        );
        direct.options(match pooled.get_options() {
            Some(theirs) => format!("{theirs} {ours}"),
            None => ours,
        });
        Self {
            direct,
            pooled,
            tls: url.tls.clone(),
            statement_timeout,
            patience: connect_timeout.max(Duration::from_secs(2)),
            pooler_found: AtomicBool::new(false),
            encoding_checked: AtomicBool::new(false),
            encoding_refused: AtomicBool::new(false),
        }
    }

    /// Behind a pooler, only the service itself ends a statement that takes too long.
    pub fn server_keeps_timeouts(&self) -> bool {
        !self.pooler_found.load(Ordering::Relaxed)
    }

    /// Whether the server was reached and its database has an encoding that cannot store every text.
    pub fn encoding_is_refused(&self) -> bool {
        self.encoding_refused.load(Ordering::Relaxed)
    }

    pub async fn connect(&self, role: Role, losses: u64) -> Result<PgConnection, ConnectError> {
        let attempt = async {
            let checked = self.open().await?;
            PgConnection::new(checked, role, self.tls.clone(), losses).await
        };
        let outcome = tokio::time::timeout(self.patience, attempt).await;
        outcome.unwrap_or_else(|_| Err(ConnectError("it does not answer in time".into())))
    }

    /// Opens a connection and checks it. Diesel has not sent a statement over it yet.
    pub async fn open(&self) -> Result<Checked, ConnectError> {
        if self.server_keeps_timeouts() {
            match self.attempt(&self.direct).await {
                Err(error) if is_refused_parameter(&error) => self.note_pooler(),
                Err(error) => return Err(error.into()),
                Ok(checked) => {
                    if !self.encoding_checked.load(Ordering::Relaxed) {
                        self.check_server(&checked.client).await?;
                    }
                    if self.server_keeps_timeouts() {
                        return Ok(checked);
                    }
                    check_prepared_statements(&checked.client).await?;
                    return Ok(checked);
                }
            }
        }
        let checked = self.attempt(&self.pooled).await?;
        self.check_server(&checked.client).await?;
        check_prepared_statements(&checked.client).await?;
        Ok(checked)
    }

    async fn attempt(&self, config: &Config) -> Result<Checked, tokio_postgres::Error> {
        let (client, driver) = config.connect(self.tls.clone()).await?;
        let (closed, shutdown) = drive(driver);
        // The minimum of several measurements, because a busy machine makes single ones too long.
        let mut round_trip = Duration::MAX;
        for _ in 0..ROUND_TRIPS_MEASURED {
            let asked = Instant::now();
            client.simple_query("SELECT 1").await?;
            round_trip = round_trip.min(asked.elapsed());
        }
        Ok(Checked {
            client,
            closed,
            shutdown,
            round_trip,
        })
    }

    /// Checks that the database can store every text, and that the startup options are in force: some poolers
    /// accept and ignore them.
    async fn check_server(&self, client: &Client) -> Result<(), ConnectError> {
        // An unnamed statement, which works with every pooler.
        let rows = client
            .query_typed(
                "SELECT current_setting('server_encoding'), \
                 (SELECT setting FROM pg_settings WHERE name = 'statement_timeout')",
                &[],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| ConnectError("it answers nothing".into()))?;
        let (encoding, timeout): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if encoding != "UTF8" {
            self.encoding_refused.store(true, Ordering::Relaxed);
            return Err(ConnectError(format!(
                "the database's encoding is {encoding}, and must be UTF8: create it with ENCODING 'UTF8'"
            )));
        }
        self.encoding_checked.store(true, Ordering::Relaxed);
        if timeout != self.statement_timeout.as_millis().to_string() {
            self.note_pooler();
        }
        Ok(())
    }

    fn note_pooler(&self) {
        if !self.pooler_found.swap(true, Ordering::Relaxed) {
            log::info!("connection pooler detected; enforcing statement timeouts client-side");
        }
    }
}

fn is_refused_parameter(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|said| said.message().contains("startup parameter"))
}

/// Adds the settings that the URL does not contain.
fn with_defaults(config: &Config, connect_timeout: Duration, statement_timeout: Duration) -> Config {
    let mut config = config.clone();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect_timeout.max(Duration::from_secs(2)));
    }
    if config.get_application_name().is_none() {
        config.application_name("todo-backend");
    }
    // Detects a peer that disappeared without closing the connection, such as a moved server or an expired NAT
    // entry, both while data is unacknowledged and while the connection is idle.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(statement_timeout + Duration::from_secs(1));
    }
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

/// Checks whether the pooler supports prepared statements, that is, renames them.
///
/// A pooler that does not passes the name `s0` on unchanged. Then two replicas may prepare different statements
/// with this name on one server connection, and one may execute the other's, for example a `DELETE`. This must
/// be known before the first named statement is executed. The check only prepares one; the statements that it
/// executes have no name.
async fn check_prepared_statements(client: &Client) -> Result<(), ConnectError> {
    // A transaction, so that the pooler does not change the server connection.
    client.batch_execute("BEGIN").await?;
    let passed_on = names_are_passed_on(client).await;
    client.batch_execute("ROLLBACK").await?;
    if passed_on? {
        return Err(ConnectError(
            "the connection pooler does not support protocol-level prepared statements: use PgBouncer 1.21 or \
             later with max_prepared_statements set, or a direct connection"
                .into(),
        ));
    }
    Ok(())
}

async fn names_are_passed_on(client: &Client) -> Result<bool, ConnectError> {
    let text = format!("SELECT 'todo-backend {:032x}'", fastrand::u128(..));
    let _prepared = match client.prepare(&text).await {
        Ok(prepared) => prepared,
        // Another client has prepared a statement with the same name.
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let named = "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^s[0-9]+$'";
    let rows = client.query_typed(named, &[]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(count > 0)
}
