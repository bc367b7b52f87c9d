//! The HTTP server: connections, their timeouts, and how they end. Knows nothing of what is served.

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, boxed, fn_service, map_config,
};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::rt::time::sleep;

use crate::wire::{Unreadable, Wire};

/// How many connections may wait to be taken: the standard library's 128 are too few for clients who all come
/// back at once, and those who find no room wait for seconds.
const BACKLOG: u32 = 2_048;

/// How long running requests may take after a stop.
const SHUTDOWN_SECONDS: u64 = 8;

/// How long after a stop connections at rest are closed. What had come by then must be seen
/// first: woken by the signal alone, a connection does not know what lies in its socket; woken by the
/// clock, it does, for then the runtime has asked the system about all sockets.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// How long a connection may rest between two requests: longer than common load balancers keep theirs,
/// so that it is they who close one, and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long an answer to a body that was not read to its end is waited for to be read, before the
/// connection is closed: closing it at once would take the answer from the client.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may take to send a request's headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Ready to listen, from inside the runtime.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // What an earlier process left behind of its connections is in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// What `HttpServer` does, with our own connections: it takes TCP's alone.
pub fn listen<F, A, S, B>(
    listener: TcpListener,
    workers: usize,
    unreadable: Unreadable,
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
    let builder = Server::build().workers(workers);
    let stopping = builder.graceful_shutdown_signal();
    let factory = move || {
        let stopping = stopping.clone();
        let app = app().into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move {
                    stopping.notified().await;
                    // Boxed, for each connection at rest would keep room for it.
                    Box::pin(sleep(LAST_LOOK)).await;
                }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEADERS_WITHIN)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|wire: &Wire, extensions| {
                extensions.insert(wire.answering());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let connection = fn_service(move |stream: TcpStream| async move {
            let peer = stream.peer_addr().ok();
            Ok((Wire::new(stream, unreadable), Protocol::Http1, peer))
        })
        .and_then(http);
        // The server's task would have room for a connection's state twice; boxed, it has a pointer.
        boxed::factory(connection)
    };
    Ok(builder
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen("http", listener, factory)?
        .run())
}
