//! A wrapper around a client's TCP stream that enforces two timeouts that actix does not have: a client is disconnected
//! if it does not read its response, or if it takes too long to send the headers of a request. (actix limits the time
//! for the first request of a connection only.) The wrapper also closes the connection if it is evicted.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::open_connections::{Activity, Connections, Registration};

/// The maximum time to write the next `WRITE_PROGRESS_BYTES`, or the rest of a response. The time begins when the
/// socket accepts no more bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
const WRITE_PROGRESS_BYTES: usize = 64 * 1024;

/// The maximum time for a client to send the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time during which the rest of a rejected request body is read after the response. If the connection were
/// closed at once, it would be reset while the client is still sending, and the client would lose the response.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A function that creates the response to a request whose headers did not arrive in time: all bytes to send, including
/// the status line and the headers.
pub type TimeoutResponse = fn() -> Vec<u8>;

pub struct ClientConnection {
    stream: TcpStream,
    registration: Registration,
    timeout_response: TimeoutResponse,
    /// The timer for `WRITE_TIMEOUT`. It is set when the socket accepts no more bytes because the client does not read.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// The number of bytes that were written since `write_timer` was last reset.
    written_bytes: usize,
    /// When the client began to send a request whose headers are still incomplete. A new connection begins its first
    /// request when it is accepted. While a connection is closing, this is the time at which the response was written.
    request_started: Option<Instant>,
    /// The timer for the timeouts that begin at `request_started`. It is not cancelled when the headers are complete,
    /// because creating a timer for each request would be expensive. When it fires, `request_started` is checked.
    request_timer: Option<Pin<Box<Sleep>>>,
}

impl ClientConnection {
    pub fn new(stream: TcpStream, connections: &Connections, timeout_response: TimeoutResponse) -> Self {
        // actix collects the parts of a response in a buffer before it writes them, so Nagle's algorithm would only add
        // a delay.
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

    pub fn activity(&self) -> &Rc<Activity> {
        &self.registration.activity
    }

    fn reset_write_timer(&mut self) {
        self.write_timer = None;
        self.written_bytes = 0;
    }

    /// Ready once the client has taken too long to send the headers, or the rest of a rejected body.
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

    /// Sends a response that tells the client why its connection is closed. The response that actix would send has no
    /// body.
    fn send_timeout_response(&mut self) {
        self.request_started = None;
        if !self.activity().is_closing() && self.write_timer.is_none() {
            // If the socket is not writable, the response is not sent. The service does not wait for such a client.
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
        // If a read returns no bytes, actix assumes that the client has closed the connection.
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

    /// actix calls this function whenever its write buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reset_write_timer();
        self.activity().set_writing(false);
        if self.activity().is_closing() {
            self.request_started.get_or_insert_with(Instant::now);
            self.request_timer = None;
            // Polling starts the timer. This is necessary here, because there may be no further read: the client may
            // send nothing more.
            let _ = self.poll_request_timeout(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
