//! Checks of error responses. Each check also verifies the rules that apply to all error responses.

use serde_json::Value;

use super::{Contract, Response};

impl Response {
    /// Checks that the response is an RFC 9457 problem with this status, and returns the problem.
    #[track_caller]
    pub fn assert_problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self}"
        );
        let problem: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"));
        let text = |member: &str| {
            let value = problem[member].as_str();
            value
                .unwrap_or_else(|| panic!("`{member}` is not a string: {self}"))
                .to_owned()
        };
        assert!(!text("type").is_empty(), "{self}");
        assert!(!text("title").is_empty(), "{self}");
        assert_eq!(problem["status"], status, "{self}");
        assert_eq!(text("request_id"), self.request_id(), "{self}");
        assert!(
            is_a_plain_sentence(&text("detail")),
            "`detail` is not a plain sentence: {self}"
        );
        problem
    }

    /// Checks that the response is a 401 problem with a `Bearer` challenge.
    #[track_caller]
    pub fn assert_unauthorized(&self) {
        self.assert_problem(401);
        let challenge = self.header("www-authenticate").unwrap_or_default();
        assert!(
            challenge == "Bearer" || challenge.starts_with("Bearer "),
            "{self}"
        );
    }

    /// Checks that the response is a 503 problem with a `Retry-After` header.
    #[track_caller]
    pub fn assert_unavailable(&self) {
        self.assert_problem(503);
        let seconds = self
            .header("retry-after")
            .expect("the response should have Retry-After");
        assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1), "{self}");
    }

    /// Checks that the input was refused because of exactly these fields, and that each has a message.
    #[track_caller]
    pub fn assert_bad_fields(&self, contract: Contract, fields: &[&str]) {
        let mut named: Vec<String> = self.bad_fields(contract);
        named.sort();
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        assert_eq!(named, expected, "{self}");
    }

    /// Checks that the input was refused because of at least one field, whatever its name.
    #[track_caller]
    pub fn assert_bad_input(&self, contract: Contract) {
        assert!(!self.bad_fields(contract).is_empty(), "`errors` is empty: {self}");
    }

    /// Checks that the input was refused, and returns the fields that the problem names.
    #[track_caller]
    fn bad_fields(&self, contract: Contract) -> Vec<String> {
        let problem = self.assert_problem(contract.bad_input());
        let errors = problem["errors"].as_array();
        let errors = errors.unwrap_or_else(|| panic!("no `errors`: {self}"));
        let named = errors.iter().map(|error| {
            let message = error["message"].as_str().unwrap_or_default();
            assert!(!message.is_empty() && !message.contains('\n'), "{self}");
            let field = error["field"].as_str();
            field
                .unwrap_or_else(|| panic!("`field` is no string: {self}"))
                .to_owned()
        });
        named.collect()
    }
}

/// Returns whether the text is one line, ends with a period and exposes none of these implementation details.
fn is_a_plain_sentence(detail: &str) -> bool {
    const INSIDES: [&str; 8] = [
        "::", "panicked", "diesel", "SQL", "Error(", "src/", "Some(", "actix",
    ];
    detail.ends_with('.')
        && detail.contains(' ')
        && !detail.contains('\n')
        && !INSIDES.iter().any(|inside| detail.contains(inside))
}
