//! HTTP as raw bytes, for requests that an HTTP client refuses to send, and for tests that control each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::{Response, TestApp};

pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(app: &TestApp) -> Self {
        Self::to(app.base_url().trim_start_matches("http://"))
    }

    pub fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the address should accept plain HTTP connections");
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends these bytes. Write errors are ignored, because a service may respond and close the connection before it
    /// has read everything.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.get_mut().write_all(bytes.as_ref());
        self
    }

    /// Returns the next response, or `None` if no complete response arrives.
    pub fn read(&mut self) -> Option<Response> {
        self.receive(true)
    }

    /// Returns the next response, which must be that to a HEAD request: it has no body, whatever its
    /// `Content-Length` is.
    pub fn read_head(&mut self) -> Option<Response> {
        self.receive(false)
    }

    /// Closes the connection with RST, which tells the server that the client is gone. A connection that is merely
    /// dropped is closed with FIN, after which the client might still read a response.
    pub fn reset(self) {
        set_socket_linger(self.0.get_ref(), Some(Duration::ZERO)).unwrap();
    }

    fn receive(&mut self, with_body: bool) -> Option<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .expect("a header line should contain a colon");
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value.trim()).unwrap(),
            );
        }
        let body = if with_body {
            self.body(&headers, status_line.starts_with("HTTP/1.0"))?
        } else {
            Vec::new()
        };
        Some(Response {
            status,
            headers,
            body,
            asked: "a raw request".to_owned(),
        })
    }

    fn body(&mut self, headers: &HeaderMap, is_http_1_0: bool) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        if headers.contains_key("transfer-encoding") {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).ok()?;
                let mut chunk = vec![0; size];
                self.0.read_exact(&mut chunk).ok()?;
                self.line()?;
                if size == 0 {
                    return Some(body);
                }
                body.extend(chunk);
            }
        }
        if is_http_1_0 && !headers.contains_key("content-length") {
            self.0.read_to_end(&mut body).ok()?;
        }
        if let Some(length) = headers.get("content-length") {
            body.resize(length.to_str().ok()?.parse().ok()?, 0);
            self.0.read_exact(&mut body).ok()?;
        }
        Some(body)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        line.strip_suffix("\r\n").map(str::to_owned)
    }
}

/// Builds a request with a `Host` header, these header lines and this body. If `token` is not empty, the request
/// also has an `Authorization` header. A `Content-Length` is not added.
pub fn request(app: &TestApp, line: &str, token: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let host = app.base_url().trim_start_matches("http://");
    let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n");
    if !token.is_empty() {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// Encodes a body in the chunked transfer coding, in chunks of 8 KiB.
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for piece in body.chunks(8 << 10) {
        coded.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        coded.extend(piece);
        coded.extend(b"\r\n");
    }
    coded.extend(b"0\r\n\r\n");
    coded
}
