//! The HTTP server: its listening socket, its connections and their timeouts, and its shutdown. It does not depend on
//! the application that it serves.

mod client_connection;
pub mod connection_limit;
mod open_connections;

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, boxed, fn_service, map_config,
};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::sleep;
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use self::client_connection::{ClientConnection, LINGER_TIMEOUT, TimeoutResponse};
use self::connection_limit::ConnectionLimit;
pub use self::open_connections::Activity;
use self::open_connections::{Connections, awaiting_first_request};

/// The length of the queue of connections that wait to be accepted. The standard library's default of 128 is too short
/// if many clients reconnect at the same time: a client that finds the queue full tries again only after a second or
/// more.
const BACKLOG: i32 = 2_048;

/// How long connections are still accepted after a stop signal. If the listening socket were closed at once, the
/// connections in its queue would be reset.
const ACCEPT_BEFORE_STOP: Duration = Duration::from_millis(200);

/// The minimum and maximum time for which the server waits, after a stop signal, for the first request of each accepted
/// connection. This applies only if the next process inherits the listening socket. The minimum is necessary because
/// connections that have not reached a worker thread yet are not counted.
const FIRST_REQUEST_MIN: Duration = Duration::from_millis(200);
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(2);
const FIRST_REQUEST_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long requests in flight may still take when the server stops.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 8;

/// The delay between the stop and the closing of idle connections. Without this delay, a connection whose request has
/// just arrived would be closed as an idle one. The runtime polls all sockets, and so finds such requests, before it
/// fires the timer of the delay.
const IDLE_CLOSE_DELAY: Duration = Duration::from_millis(20);

/// How long a connection may be idle between two requests. This is longer than 60 seconds, the default of many load
/// balancers, so that they close idle connections first, and never send a request on a connection that the service is
/// closing.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

pub struct Listener {
    pub socket: TcpListener,
    /// Whether systemd has passed the socket. systemd then keeps the socket open while the service restarts.
    pub inherited: bool,
}

/// Returns the socket that systemd has passed, or else a new socket at this address.
pub fn listener(address: SocketAddr) -> io::Result<Listener> {
    let inherited = inherited_socket().map_err(|error| io::Error::other(format!("LISTEN_FDS: {error}")))?;
    let failed = |error| io::Error::other(format!("HOST, PORT: cannot listen on {address}: {error}"));
    let (socket, inherited) = match inherited {
        Some(socket) => (socket, true),
        None => (bind(address).map_err(failed)?, false),
    };
    Ok(Listener { socket, inherited })
}

/// Returns the socket that systemd has passed. The crate `sd_notify` requires that `LISTEN_PID` is the id of this
/// process, as systemd's own library does. The crate `listenfd` alone would also use the descriptors if `LISTEN_PID` is
/// missing.
fn inherited_socket() -> io::Result<Option<TcpListener>> {
    const EXPECTED: &str = "systemd must pass exactly one listening TCP socket";
    match sd_notify::listen_fds()?.len() {
        0 => return Ok(None),
        1 => {}
        count => return Err(io::Error::other(format!("{EXPECTED}, not {count} sockets"))),
    }
    let socket = ListenFd::from_env().take_tcp_listener(0);
    let socket = socket.map_err(|error| io::Error::other(format!("{EXPECTED}: {error}")))?;
    match &socket {
        Some(socket) if !socket_acceptconn(socket)? => Err(io::Error::other(format!(
            "{EXPECTED}, not a connection (Accept=no)"
        ))),
        _ => Ok(socket),
    }
}

/// The standard library sets `SO_REUSEADDR`, so that connections of an earlier process that are still closing do not
/// block the port. It also starts to listen; the second call only changes the length of the queue.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Stops the server after the requests in flight have ended, or after `SHUTDOWN_TIMEOUT_SECONDS`.
pub async fn stop(server: ServerHandle, socket_inherited: bool) {
    if socket_inherited {
        // New connections wait in the socket's queue for the next process. Accepted connections stay open for their
        // first request, because their clients would have to repeat it otherwise.
        server.pause().await;
        let started = Instant::now();
        sleep(FIRST_REQUEST_MIN).await;
        while awaiting_first_request() > 0 && started.elapsed() < FIRST_REQUEST_MAX {
            sleep(FIRST_REQUEST_POLL_INTERVAL).await;
        }
    } else {
        sleep(ACCEPT_BEFORE_STOP).await;
    }
    server.stop(true).await;
}

/// Creates the server. `HttpServer` is not used, because it does not support another connection type than its own.
pub fn listen<F, A, S, B>(
    socket: TcpListener,
    workers: usize,
    limit: ConnectionLimit,
    timeout_response: TimeoutResponse,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> A + Clone + Send + 'static,
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Error = Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(limit.accept_below);
    let stopping = builder.graceful_shutdown_signal();
    let factory = move || {
        let stopping = stopping.clone();
        let app = app().into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move {
                    stopping.notified().await;
                    // The future is boxed, because every idle connection would contain space for it otherwise.
                    Box::pin(sleep(IDLE_CLOSE_DELAY)).await;
                }
            })
            .keep_alive(KEEP_ALIVE)
            // actix's timeout is disabled, because `ClientConnection` has a timeout for every request.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .on_connect_ext(|connection: &ClientConnection, extensions| {
                extensions.insert(Rc::clone(connection.activity()));
            })
            .finish(map_config(app, |()| AppConfig::default()));
        // The surrounding closure runs once per worker thread.
        let connections = Connections::new(limit.evict_above);
        let service = fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let connection = ClientConnection::new(stream, &connections, timeout_response);
            async move { Ok((connection, Protocol::Http1, peer)) }
        })
        .and_then(http);
        // The service is boxed, because the task of each connection would otherwise have space for two copies of the
        // service's state.
        boxed::factory(service)
    };
    Ok(builder
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS)
        .listen("http", socket, factory)?
        .run())
}
