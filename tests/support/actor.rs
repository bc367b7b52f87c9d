//! A client of the service, with or without a token: `app.anonymous()`, `app.user("ada")`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http;

use super::response::Response;
use super::token::{self, now};
use super::{Contract, random};

/// The service, or several replicas of it, that requests are sent to.
pub struct Target {
    agent: ureq::Agent,
    base_urls: Vec<String>,
    pub secret: String,
}

impl Target {
    pub fn new(base_urls: Vec<String>, secret: String) -> Arc<Self> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_mins(2)))
            .build();
        Arc::new(Self {
            agent: config.into(),
            base_urls,
            secret,
        })
    }

    pub fn base_url(&self) -> &str {
        &self.base_urls[random::number() as usize % self.base_urls.len()]
    }
}

thread_local! {
    static LAST_REQUEST: RefCell<String> = RefCell::default();
}

/// Returns the method and path of the last request that this thread sent.
pub fn last_request() -> String {
    LAST_REQUEST.with_borrow(String::clone)
}

#[derive(Clone)]
pub struct Actor {
    pub target: Arc<Target>,
    pub id: String,
    pub email: String,
    pub name: String,
    pub token: Option<String>,
}

impl Actor {
    pub fn anonymous(target: Arc<Target>) -> Self {
        let empty = String::new();
        Self {
            target,
            id: empty.clone(),
            email: empty.clone(),
            name: empty,
            token: None,
        }
    }

    pub fn user(target: Arc<Target>, id: &str) -> Self {
        let mut actor = Self::anonymous(target);
        id.clone_into(&mut actor.id);
        // The id may contain characters that are invalid in an email address, so the address is derived from
        // its hash.
        actor.email = format!("{}@example.com", token::fingerprint(id));
        actor.name = format!("Name of {id}");
        let claims = actor.claims();
        actor.signed(&claims)
    }

    /// Returns the claims of a valid token for this user.
    pub fn claims(&self) -> Value {
        json!({
            "sub": self.id,
            "email": self.email,
            "name": self.name,
            // The token is issued in the past so that tests can also issue later ones.
            "iat": now() - 1_000,
            "exp": now() + 900,
        })
    }

    /// Returns the same user with a token that contains these claims and is signed with the service's secret.
    pub fn signed(&self, claims: &Value) -> Self {
        let token = token::hs256(claims, &self.target.secret);
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    /// Returns the same user with this token, which need not be valid.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the same user with the same token, whose requests go to `target`.
    pub fn at(&self, target: &Arc<Target>) -> Self {
        Self {
            target: Arc::clone(target),
            ..self.clone()
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], &[])
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Response {
        self.request("DELETE", path, &[], &[])
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Response {
        self.json("POST", path, &body)
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: Value) -> Response {
        self.json("PUT", path, &body)
    }

    /// Sends a PATCH without a body. `PATCH …/complete` then toggles `completed`.
    #[track_caller]
    pub fn patch(&self, path: &str) -> Response {
        self.request("PATCH", path, &[], &[])
    }

    #[track_caller]
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Response {
        self.body(method, path, body.to_string().as_bytes())
    }

    /// Sends these bytes as `application/json`, whether or not they are valid JSON.
    #[track_caller]
    pub fn body(&self, method: &str, path: &str, body: &[u8]) -> Response {
        self.request(method, path, &[("content-type", "application/json")], body)
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Returns `None` if the connection fails or no complete response arrives.
    pub fn try_get(&self, path: &str) -> Option<Response> {
        self.try_request("GET", path, &[], &[]).ok()
    }

    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, ureq::Error> {
        let asked = format!("{method} {path}");
        LAST_REQUEST.replace(asked.clone());
        let url = format!("{}{path}", self.target.base_url());
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent = &self.target.agent;
        let answer = if body.is_empty() {
            agent.run(request.body(())?)
        } else {
            agent.run(request.body(body)?)
        };
        Response::read(answer?, asked)
    }

    /// Creates a task through contract A and returns it as the service sent it.
    #[track_caller]
    pub fn has_task(&self, title: &str) -> Value {
        self.creates(json!({ "title": title }))
    }

    #[track_caller]
    pub fn creates(&self, body: Value) -> Value {
        self.post(&Contract::A.tasks(self), body).expect(201).json()
    }

    /// Returns the titles of a list in the order in which the service sent them.
    #[track_caller]
    pub fn titles(&self, path: &str) -> Vec<String> {
        let list = self.get(path).expect(200).json();
        let titles = list.as_array().expect("the body should be a JSON array").iter();
        titles
            .map(|task| task["title"].as_str().unwrap().to_owned())
            .collect()
    }
}
