//! A complete response, with accessors and assertions.

use serde_json::Value;
use ureq::http::{self, HeaderMap};

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// A description of the request for the messages of failed assertions.
    pub asked: String,
}

impl Response {
    pub fn read(answer: http::Response<ureq::Body>, asked: String) -> Result<Self, ureq::Error> {
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(64 << 20).read_to_vec()?;
        Ok(Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            asked,
        })
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of a header that may appear only once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| value.to_str().expect("the header should be ASCII"));
        assert!(values.next().is_none(), "{name} appears twice: {self}");
        value
    }

    /// Returns the members of a list header, combined from all its lines, in lower case and sorted.
    pub fn list_header(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).iter();
        let mut members: Vec<String> = lines
            .flat_map(|line| line.to_str().unwrap().split(','))
            .map(|member| member.trim().to_ascii_lowercase())
            .filter(|member| !member.is_empty())
            .collect();
        members.sort();
        members
    }

    #[track_caller]
    pub fn request_id(&self) -> &str {
        self.header("x-request-id")
            .unwrap_or_else(|| panic!("no X-Request-Id: {self}"))
    }

    /// Returns the body without the request id, for comparing two responses.
    pub fn body_without_request_id(&self) -> String {
        self.text().replace(self.request_id(), "<request id>")
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text().chars().take(2_000).collect();
        write!(
            f,
            "{} answered {} {:?}\n{body}",
            self.asked, self.status, self.headers
        )
    }
}
