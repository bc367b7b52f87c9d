//! Wraps a client's TCP stream, to enforce two timeouts that actix does not have: a client is disconnected if it does
//! not read its response, and if it takes too long to send the headers of any request, not only of the first one.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::open_connections::{Activity, Connections, Registration};

/// How long a client may take to read `WRITE_PROGRESS_BYTES` of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
const WRITE_PROGRESS_BYTES: usize = 64 * 1024;

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the rest of a rejected body is read after the response. Closing the connection at once would reset it
/// while the client is still sending, and the client would lose the response.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts a connection's requests in flight. Shared by the connection and its requests.
#[derive(Clone)]
pub struct InFlightRequests(Rc<Activity>);

impl InFlightRequests {
    /// The request is in flight until the returned guard is dropped.
    pub fn begin(&self) -> impl Drop + use<> {
        self.0.request_began();
        InFlight(Rc::clone(&self.0))
    }

    /// Closes the connection after the response to the current request.
    pub fn close_after_response(&self) {
        self.0.close_after_response();
    }
}

struct InFlight(Rc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// Creates the raw response, headers included, to a request whose headers did not arrive in time.
pub type TimeoutResponse = fn() -> Vec<u8>;

pub struct ClientConnection {
    stream: TcpStream,
    registration: Registration,
    timeout_response: TimeoutResponse,
    /// Set while the socket accepts no bytes because the client does not read.
    write_timer: Option<Pin<Box<Sleep>>>,
    written_bytes: usize,
    /// When the client began to send the request that is still incomplete. For a new connection, this is the time
    /// when it was accepted.
    request_started: Option<Instant>,
    /// There is one timer per connection, because creating one per request is expensive. It checks
    /// `request_started` when it fires.
    request_timer: Option<Pin<Box<Sleep>>>,
}

impl ClientConnection {
    pub fn new(stream: TcpStream, connections: &Connections, timeout_response: TimeoutResponse) -> Self {
        // Responses are written in one piece, so Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            registration: connections.register(),
            timeout_response,
            write_timer: None,
            written_bytes: 0,
            request_started: Some(Instant::now()),
            request_timer: None,
        }
    }

    pub fn in_flight_requests(&self) -> InFlightRequests {
        InFlightRequests(Rc::clone(&self.registration.activity))
    }

    fn activity(&self) -> &Activity {
        &self.registration.activity
    }

    fn reset_write_timer(&mut self) {
        self.write_timer = None;
        self.written_bytes = 0;
    }

    /// Ready once the client has taken too long to send its request.
    fn poll_request_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.activity().has_request() {
            self.request_started = None;
        }
        while let Some(started) = self.request_started {
            let timeout = match self.activity().is_closing() {
                true => LINGER_TIMEOUT,
                false => HEADER_TIMEOUT,
            };
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Poll::Ready(());
            }
            let timer = self.request_timer.get_or_insert_with(|| Box::pin(sleep(left)));
            ready!(timer.as_mut().poll(context));
            self.request_timer = None;
        }
        Poll::Pending
    }

    /// Tells the client why its connection is closed. actix would do so for a connection's first request only, and
    /// without a body.
    fn send_timeout_response(&mut self) {
        self.request_started = None;
        if !self.activity().is_closing() && self.write_timer.is_none() {
            // The response is lost if the socket is not writable. Waiting for a slow client is not worth it.
            let _ = self.stream.try_write(&(self.timeout_response)());
        }
    }
}

impl AsyncRead for ClientConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Reading no bytes means to actix that the client has closed the connection.
        const END_OF_STREAM: Poll<io::Result<()>> = Poll::Ready(Ok(()));
        if self.activity().is_evicted() {
            return END_OF_STREAM;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            if buffer.filled().len() > before {
                self.request_started.get_or_insert_with(Instant::now);
            }
            return read;
        }
        if self.poll_request_timeout(context).is_ready() {
            self.send_timeout_response();
            return END_OF_STREAM;
        }
        self.activity().wake_on_eviction(context);
        Poll::Pending
    }
}

impl AsyncWrite for ClientConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.request_started = None;
        self.activity().set_writing(true);
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_write(context, bytes) {
            self.written_bytes += *outcome.as_ref().unwrap_or(&0);
            if self.written_bytes >= WRITE_PROGRESS_BYTES {
                self.reset_write_timer();
            }
            return Poll::Ready(outcome);
        }
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// actix calls this whenever it has written everything that there is to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reset_write_timer();
        self.activity().set_writing(false);
        if self.activity().is_closing() {
            self.request_started.get_or_insert_with(Instant::now);
            self.request_timer = None;
            // Starts the timer, because a client that sends nothing more causes no further read.
            let _ = self.poll_request_timeout(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
