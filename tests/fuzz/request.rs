//! A request with valid framing and arbitrary content.

use std::fmt;

use proptest::prelude::*;

#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Complete header lines without line ends.
    pub headers: Vec<Vec<u8>>,
    pub body: Vec<u8>,
    pub in_chunks: bool,
}

impl Request {
    pub fn get(target: impl Into<String>, token: &str) -> Self {
        Self::new("GET", target, token)
    }

    pub fn new(method: &str, target: impl Into<String>, token: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: vec![format!("Authorization: Bearer {token}").into_bytes()],
            body: Vec::new(),
            in_chunks: false,
        }
    }

    pub fn header(mut self, line: impl Into<Vec<u8>>) -> Self {
        self.headers.push(line.into());
        self
    }

    pub fn json(self, body: Vec<u8>) -> Self {
        let mut request = self.header("Content-Type: application/json");
        request.body = body;
        request
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: x\r\n", self.method, self.target).into_bytes();
        for header in &self.headers {
            bytes.extend(header);
            bytes.extend(b"\r\n");
        }
        if self.in_chunks {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            bytes.extend(crate::support::raw::chunked(&self.body));
        } else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).into_bytes());
            bytes.extend(&self.body);
        }
        bytes
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        let shown = &bytes[..bytes.len().min(4_000)];
        write!(f, "{}", shown.escape_ascii())
    }
}

/// Generates header values without control characters except tabs, because the HTTP parser refuses other
/// control characters.
pub fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8], 0..40),
        1 => "[ -~]{250,260}".prop_map(String::into_bytes),
    ]
}

/// Percent-encodes the characters that a request line must not contain. Existing percent signs are kept.
pub fn for_a_request_line(text: &str) -> String {
    let mut target = String::new();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}#".contains(&byte) => target.push(byte as char),
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
    target
}
