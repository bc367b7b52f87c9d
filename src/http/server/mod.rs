//! The HTTP server: its listening socket, its connections and their timeouts, and its shutdown. It does not depend on
//! the application that it serves.

pub mod client_connection;
pub mod connection_limit;
mod open_connections;

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, boxed, fn_service, map_config,
};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::rt::time::sleep;
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use self::client_connection::{ClientConnection, LINGER_TIMEOUT, TimeoutResponse};
use self::connection_limit::ConnectionLimit;
use self::open_connections::{Connections, awaiting_first_request};

/// The length of the queue of connections that wait to be accepted. The standard library's 128 is too short when many
/// clients reconnect at the same time: those that find the queue full retry only after seconds.
const BACKLOG: u32 = 2_048;

/// How long connections are still accepted after a stop signal. Closing the listening socket at once would reset those
/// that wait in its queue.
const ACCEPT_BEFORE_STOP: Duration = Duration::from_millis(200);

/// How long accepted connections may send their first request after a stop signal, if the next process inherits the
/// listening socket. The minimum is for connections that have not reached a worker thread yet.
const FIRST_REQUEST_MIN: Duration = Duration::from_millis(200);
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(2);

/// How long requests in flight may take after the stop.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 8;

/// The delay between the stop and the closing of idle connections. Without it, a connection whose request has just
/// arrived would count as idle: the runtime has to poll its socket first, which it does before it fires a timer.
const IDLE_CLOSE_DELAY: Duration = Duration::from_millis(20);

/// How long a connection may be idle between two requests. This is longer than the idle timeout of common load
/// balancers, so that they close connections first and never send a request on one that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

pub struct Listener {
    pub socket: TcpListener,
    /// systemd passed the socket, and keeps it open during a restart.
    pub inherited: bool,
}

/// Returns the socket that systemd passed, or else a new one at this address. Must be called inside the runtime.
pub fn listener(address: SocketAddr) -> io::Result<Listener> {
    let inherited = inherited_socket().map_err(|error| io::Error::other(format!("LISTEN_FDS: {error}")))?;
    if let Some(socket) = inherited {
        return Ok(Listener {
            socket,
            inherited: true,
        });
    }
    let socket = bind(address)
        .map_err(|error| io::Error::other(format!("HOST, PORT: cannot listen on {address}: {error}")))?;
    Ok(Listener {
        socket,
        inherited: false,
    })
}

/// Reads `LISTEN_PID` and `LISTEN_FDS` as `sd_listen_fds` does. `listenfd` alone does not require `LISTEN_PID`, and
/// would use sockets that were passed to another process.
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

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Otherwise connections of an earlier process that are still closing would block the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Waits for the requests in flight and stops the server.
pub async fn stop(server: ServerHandle, socket_inherited: bool) {
    if socket_inherited {
        // New connections wait in the socket's queue for the next process. Accepted ones stay open until their
        // first request, because their clients would have to retry.
        server.pause().await;
        let started = Instant::now();
        sleep(FIRST_REQUEST_MIN).await;
        while awaiting_first_request() > 0 && started.elapsed() < FIRST_REQUEST_MAX {
            sleep(IDLE_CLOSE_DELAY).await;
        }
    } else {
        sleep(ACCEPT_BEFORE_STOP).await;
    }
    server.stop(true).await;
}

/// Replaces `HttpServer`, which does not support a connection type of our own.
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
                    // Boxed, because otherwise every idle connection would contain space for it.
                    Box::pin(sleep(IDLE_CLOSE_DELAY)).await;
                }
            })
            .keep_alive(KEEP_ALIVE)
            // Disabled, because `ClientConnection` has a timeout for every request.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .on_connect_ext(|connection: &ClientConnection, extensions| {
                extensions.insert(connection.in_flight_requests());
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
        // Boxed, because otherwise a connection's task would contain space for its state twice.
        boxed::factory(service)
    };
    Ok(builder
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS)
        .listen("http", socket, factory)?
        .run())
}
