//! Somebody who calls the service: `app.anonymous()`, `app.user("ada")`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http;

use super::response::Response;
use super::token::{self, now};
use super::{Contract, random};

/// Where requests go.
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
            .timeout_global(Some(Duration::from_secs(30)))
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
        let nobody = String::new();
        Self {
            target,
            id: nobody.clone(),
            email: nobody.clone(),
            name: nobody,
            token: None,
        }
    }

    pub fn user(target: Arc<Target>, id: &str) -> Self {
        let mut actor = Self::anonymous(target);
        actor.id = id.to_owned();
        // Not made of the id: that may be anything.
        actor.email = format!("{}@example.com", token::fingerprint(id));
        actor.name = format!("Name of {id}");
        let claims = actor.claims();
        actor.signed(&claims)
    }

    /// The claims of a good token for this user.
    pub fn claims(&self) -> Value {
        json!({
            "sub": self.id,
            "email": self.email,
            "name": self.name,
            // Some time ago, so that there can be later ones.
            "iat": now() - 1_000,
            "exp": now() + 900,
        })
    }

    /// The same caller with a token that has other claims.
    pub fn signed(&self, claims: &Value) -> Self {
        let token = token::hs256(claims, &self.target.secret);
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    /// The same caller with any token at all.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same user, calling another process.
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

    /// Without a body, which is how a task is toggled.
    #[track_caller]
    pub fn patch(&self, path: &str) -> Response {
        self.request("PATCH", path, &[], &[])
    }

    #[track_caller]
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Response {
        self.body(method, path, body.to_string().as_bytes())
    }

    /// Any bytes, said to be JSON.
    #[track_caller]
    pub fn body(&self, method: &str, path: &str, body: &[u8]) -> Response {
        self.request(method, path, &[("content-type", "application/json")], body)
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// `None` when nobody answers.
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
        Response::read(answer?, format!("{method} {path}"))
    }

    /// A task of this user, by contract A; the whole of it.
    #[track_caller]
    pub fn has_task(&self, title: &str) -> Value {
        self.creates(json!({ "title": title }))
    }

    #[track_caller]
    pub fn creates(&self, body: Value) -> Value {
        self.post(&Contract::A.tasks(self), body).expect(201).json()
    }

    /// The titles of a list, in its order.
    #[track_caller]
    pub fn titles(&self, path: &str) -> Vec<String> {
        let list = self.get(path).expect(200).json();
        let titles = list.as_array().expect("a list").iter();
        titles
            .map(|task| task["title"].as_str().unwrap().to_owned())
            .collect()
    }
}
