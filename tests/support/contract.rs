//! The two contracts, so that each test case is written once and runs for both.

use std::fmt::Display;

use super::Actor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// `/api/tasks`: the tasks of the token's user.
    A,
    /// `/api/{user_id}/tasks`: the tasks of the user named in the path.
    B,
}

pub const CONTRACTS: [Contract; 2] = [Contract::A, Contract::B];

impl Contract {
    pub fn tasks(self, user: &Actor) -> String {
        match self {
            Self::A => "/api/tasks".to_owned(),
            Self::B => format!("/api/{}/tasks", encode(&user.id)),
        }
    }

    pub fn task(self, user: &Actor, id: impl Display) -> String {
        format!("{}/{id}", self.tasks(user))
    }

    pub fn complete(self, user: &Actor, id: impl Display) -> String {
        format!("{}/{id}/complete", self.tasks(user))
    }

    /// Returns the status of the response to a request whose body or query is invalid.
    pub fn bad_input(self) -> u16 {
        match self {
            Self::A => 400,
            Self::B => 422,
        }
    }

    /// Returns the method and path of every route for tasks.
    pub fn routes(self, user: &Actor, id: impl Display) -> Vec<(&'static str, String)> {
        let item = self.task(user, &id);
        vec![
            ("GET", self.tasks(user)),
            ("HEAD", self.tasks(user)),
            ("POST", self.tasks(user)),
            ("GET", item.clone()),
            ("HEAD", item.clone()),
            ("PUT", item.clone()),
            ("DELETE", item),
            ("PATCH", self.complete(user, &id)),
        ]
    }
}

/// Percent-encodes everything except the unreserved characters of RFC 3986.
pub fn encode(segment: &str) -> String {
    let mut encoded = String::new();
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte as char);
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
