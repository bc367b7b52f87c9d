//! A client's connection, as the HTTP parser sees it: where two promises are kept that the parser itself
//! cannot keep.
//!
//! - An answer that the parser makes on its own (to a request that it cannot read) has no body. Here it
//!   becomes a problem, as every error is.
//! - A client that does not read what it asked for is cut off, and so is one that takes its time with a
//!   request that is not its connection's first: the parser watches that one alone.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::logging::RequestId;

/// How long a client may take to read so much of an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
const WRITE_PROGRESS: usize = 64 * 1024;

/// How long what a client sends may be no request that is being answered. The parser's own bound, which
/// is a second less, comes first where there is one, and says so to the client.
const REQUEST_PATIENCE: Duration = Duration::from_secs(11);

/// How long the rest of a body that nobody wants is taken in after the answer: closing at once would take
/// the answer from a client that is still sending.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// How many requests of a connection are being answered; shared by the connection and its requests.
#[derive(Clone, Default)]
pub struct Answering(Rc<Exchange>);

#[derive(Default)]
struct Exchange {
    under_way: Cell<usize>,
    last: Cell<bool>,
}

impl Answering {
    /// Until what this returns is dropped.
    pub fn begin(&self) -> impl Drop + use<> {
        self.0.under_way.set(self.0.under_way.get() + 1);
        Begun(self.clone())
    }

    /// The connection ends after the answer that is being made.
    pub fn end_with_this(&self) {
        self.0.last.set(true);
    }

    fn now(&self) -> bool {
        self.0.under_way.get() > 0
    }

    fn was_last(&self) -> bool {
        self.0.last.get() && !self.now()
    }
}

struct Begun(Answering);

impl Drop for Begun {
    fn drop(&mut self) {
        let under_way = &self.0.0.under_way;
        under_way.set(under_way.get() - 1);
    }
}

/// Makes the id and the body of an answer that the parser left bare.
pub type Unreadable = fn(StatusCode) -> (RequestId, String);

pub struct Wire {
    stream: TcpStream,
    unreadable: Unreadable,
    /// What takes the place of a bare error as far as it is not sent yet, and how long that was.
    instead: Vec<u8>,
    replaced: usize,
    /// Runs while the client does not read.
    unread: Option<Pin<Box<Sleep>>>,
    progress: usize,
    /// When the first byte came of what is no request yet.
    asked: Option<Instant>,
    answering: Answering,
    /// Looks at `asked` from time to time: one timer for a connection, and not one for each request.
    watch: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub fn new(stream: TcpStream, unreadable: Unreadable) -> Self {
        // An answer goes out in one write; there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            unreadable,
            instead: Vec::new(),
            replaced: 0,
            unread: None,
            progress: 0,
            asked: None,
            answering: Answering::default(),
            watch: None,
        }
    }

    /// For the envelope of this connection's requests.
    pub fn answering(&self) -> Answering {
        self.answering.clone()
    }

    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = None;
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(0)) if !bytes.is_empty() => {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            Poll::Ready(Ok(written)) => {
                self.progress += written;
                if self.progress >= WRITE_PROGRESS {
                    self.all_is_read();
                }
                return Poll::Ready(Ok(written));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {}
        }
        let unread = self.unread.get_or_insert_with(|| Box::pin(sleep(WRITE_PATIENCE)));
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn all_is_read(&mut self) {
        self.unread = None;
        self.progress = 0;
    }

    /// Ready when a request has been without an answer for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.answering.now() {
            self.asked = None;
        }
        while let Some(asked) = self.asked {
            let patience = match self.answering.was_last() {
                true => LAST_PATIENCE,
                false => REQUEST_PATIENCE,
            };
            let left = patience.saturating_sub(asked.elapsed());
            if left.is_zero() {
                return Poll::Ready(());
            }
            let watch = self.watch.get_or_insert_with(|| Box::pin(sleep(left)));
            ready!(watch.as_mut().poll(context));
            self.watch = None;
        }
        Poll::Pending
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_patience(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before && self.asked.is_none() {
            self.asked = Some(Instant::now());
        }
        if read.is_pending() && self.poll_patience(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_empty() {
            match with_body(bytes, self.unreadable) {
                None => return self.write(context, bytes),
                Some(instead) => {
                    self.instead = instead;
                    self.replaced = bytes.len();
                }
            }
        }
        while !self.instead.is_empty() {
            let instead = std::mem::take(&mut self.instead);
            let written = self.write(context, &instead);
            self.instead = instead;
            let written = ready!(written)?;
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(self.replaced))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.all_is_read();
        if self.answering.was_last() {
            self.asked.get_or_insert_with(Instant::now);
            self.watch = None;
            // Sees to it that the connection is looked at again; a client that sends nothing would not.
            let _ = self.poll_patience(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// If what is written ends with an error that never saw our envelope (it has no request id, and no body):
/// the same with a body. Such an error is the last thing that its connection carries.
fn with_body(bytes: &[u8], unreadable: Unreadable) -> Option<Vec<u8>> {
    // Nearly every answer ends with its JSON: this look at four bytes is all that it costs them.
    let before = bytes.strip_suffix(b"\r\n\r\n")?;
    // In the version of the connection's last request.
    const START: &[u8] = b"HTTP/1.1 ";
    let is_start = |window: &[u8]| window == START || window == b"HTTP/1.0 ";
    let start = before.windows(START.len()).rposition(is_start)?;
    let head = std::str::from_utf8(&before[start..]).ok()?;
    let status: u16 = head.get(START.len()..START.len() + 3)?.parse().ok()?;
    if status < 400 || head.contains("x-request-id: ") {
        return None;
    }
    let (RequestId(id), body) = unreadable(StatusCode::from_u16(status).ok()?);
    let kept = head
        .lines()
        .filter(|line| !line.starts_with("content-length") && !line.starts_with("transfer-encoding"))
        .collect::<Vec<_>>()
        .join("\r\n");
    let head = format!(
        "{kept}\r\nx-request-id: {id}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Some([&bytes[..start], head.as_bytes(), body.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(status: StatusCode) -> (RequestId, String) {
        (
            RequestId("7".into()),
            format!("{{\"status\": {}}}", status.as_u16()),
        )
    }

    #[test]
    fn a_bare_error_gets_a_body_and_what_came_before_it_stays() {
        let bare = b"HTTP/1.1 200 OK\r\nx-request-id: 1\r\ncontent-length: 2\r\n\r\n{}\
                     HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let whole = String::from_utf8(with_body(bare, unreadable).unwrap()).unwrap();
        let (first, second) = whole.split_once("{}HTTP/1.1 400 Bad Request\r\n").unwrap();
        assert!(first.ends_with("content-length: 2\r\n\r\n"));
        let (head, body) = second.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(head.contains("x-request-id: 7"));
        assert_eq!(body, "{\"status\": 400}");
    }

    #[test]
    fn a_bare_error_in_the_older_version_gets_a_body_too() {
        let bare = b"HTTP/1.0 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let whole = String::from_utf8(with_body(bare, unreadable).unwrap()).unwrap();
        assert!(
            whole.starts_with("HTTP/1.0 400 Bad Request\r\n") && whole.ends_with('}'),
            "{whole}"
        );
    }

    #[test]
    fn answers_of_the_service_pass_as_they_are() {
        for answer in [
            "HTTP/1.1 204 No Content\r\nx-request-id: 1\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 7\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert_eq!(with_body(answer.as_bytes(), unreadable), None, "{answer}");
        }
    }
}
