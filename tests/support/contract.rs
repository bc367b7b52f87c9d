//! The two contracts, so that each case is written once and run for both.

use std::fmt::Display;

use super::Actor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// `/api/tasks`: the token's tasks.
    A,
    /// `/api/{user_id}/tasks`: a named user's tasks.
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

    /// The status for a body, a JSON syntax or a query that cannot be used.
    pub fn bad_input(self) -> u16 {
        match self {
            Self::A => 400,
            Self::B => 422,
        }
    }

    /// Every route that a task is reached by: method and path.
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

/// Percent-encodes everything that a path segment may not hold, and a little more.
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
