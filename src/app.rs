//! Starts the service: creates its state and its middleware, and opens its listeners.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::Method;
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};

use crate::auth::Verifier;
use crate::config::Config;
use crate::http::access_log::{access_log, catch_panic, header_timeout_response, without_access_log};
use crate::http::idempotency_key::IDEMPOTENCY_KEY;
use crate::http::rate_limit::RateLimits;
use crate::http::request_id::{TRACEPARENT, TRACESTATE, X_REQUEST_ID};
use crate::http::server;
use crate::http::server::connection_limit::ConnectionLimit;
pub use crate::http::server::stop;
use crate::routes::{metrics_routes, routes};
use crate::store::{Database, KnownUsers, Store};
use crate::tasks::ListCursors;

pub struct Service {
    pub address: SocketAddr,
    /// Whether systemd passed the listening socket. systemd then keeps the socket open while the service restarts.
    pub socket_inherited: bool,
    pub server: Server,
    /// Must be closed when the server has stopped.
    pub database: Arc<Database>,
}

/// Opens the database and the listeners. The service handles requests as soon as the returned server is awaited.
pub fn start(config: &Config) -> io::Result<Service> {
    start_with(config, |_| {})
}

/// Like `start`, but with additional routes. Tests use it to add a handler that fails.
pub fn start_with(
    config: &Config,
    extra: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Service> {
    let secrets = config
        .secret_source
        .load_or_generate()
        .map_err(io::Error::other)?;
    let listener = server::listener(config.listen)?;
    let address = listener.socket.local_addr()?;
    let database = Database::open(config);
    let workers = database.http_workers();
    let limit = ConnectionLimit::from_open_files(workers, config.pool_size);
    migrate(&database, config)?;
    let known_users = Arc::new(KnownUsers::default());
    let verifier = web::Data::new(Verifier::new(config, &secrets));
    let cursors = web::Data::new(ListCursors::new(&secrets, &config.database_url));
    let limits = web::Data::new(RateLimits::new(config.rate_limit_per_minute));
    let origins = config.allowed_origins.clone();
    let shared = Arc::clone(&database);
    let app = move || {
        App::new()
            .app_data(Store::new(shared.worker(), Arc::clone(&known_users)))
            .app_data(verifier.clone())
            .app_data(cursors.clone())
            .app_data(limits.clone())
            .configure(extra.clone())
            .configure(routes)
            // The middleware that is added last is the outermost.
            .wrap(from_fn(catch_panic))
            .wrap(cors(&origins))
            .wrap(from_fn(access_log))
    };
    if let Some(address) = config.metrics_addr {
        actix_web::rt::spawn(metrics_listener(address, Arc::clone(&database))?);
    }
    let server = server::listen(listener.socket, workers, limit, header_timeout_response, app)?;
    Ok(Service {
        address,
        socket_inherited: listener.inherited,
        server,
        database,
    })
}

/// With SQLite, the start fails if the migrations fail. With PostgreSQL, whose server may start after the service,
/// migrations are retried in the background. A request that needs the tables before they exist waits for at most the
/// acquire timeout, and then gets a 503.
fn migrate(database: &Arc<Database>, config: &Config) -> io::Result<()> {
    if config.database_url.sqlite_file().is_some() {
        return database
            .migrate()
            .map_err(|error| io::Error::other(format!("DATABASE_URL: {error}")));
    }
    database.migrate_until_done();
    Ok(())
}

/// The maximum number of connections to the metrics listener. `RESERVED_FILES` in `http/server/connection_limit.rs`
/// includes their open files.
const MAX_METRICS_CONNECTIONS: usize = 16;

/// Serves the metrics on a separate listener, so that the public listener does not expose them.
fn metrics_listener(address: SocketAddr, database: Arc<Database>) -> io::Result<Server> {
    let database = web::Data::from(database);
    let app = move || {
        App::new()
            .app_data(database.clone())
            .configure(metrics_routes)
            .wrap(from_fn(without_access_log))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .max_connections(MAX_METRICS_CONNECTIONS)
        .disable_signals()
        .bind(address);
    let server = server.map_err(|error| io::Error::other(format!("METRICS_ADDR: {error}")))?;
    log::info!("metrics on http://{address}/metrics");
    Ok(server.run())
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allowed_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            IDEMPOTENCY_KEY,
            X_REQUEST_ID,
            TRACEPARENT,
            TRACESTATE,
        ])
        .expose_headers([ETAG, LINK, LOCATION, X_REQUEST_ID, RETRY_AFTER])
        .max_age(3_600);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
