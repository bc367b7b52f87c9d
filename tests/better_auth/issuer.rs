//! A Better Auth issuer in a process of its own, and users who are signed in there.

use std::time::Duration;

use serde_json::{Value, json};

use super::node;
use crate::support::actor::Target;
use crate::support::app::SECRET;
use crate::support::process::Process;
use crate::support::{Actor, OwnDatabase, Response, TestApp, random, wait};

pub struct Issuer {
    _process: Process,
    pub url: String,
    /// The URL of the control interface, which also responds while the issuer simulates an outage.
    pub control: String,
}

impl Issuer {
    /// Starts `tests/node/issuer.mjs` with these options and the service's secret.
    pub fn start(options: &[&str]) -> Self {
        let mut command = node::script("issuer.mjs");
        command.args(["--secret", SECRET]).args(options);
        let mut process = node::spawn(command);
        let ready = wait::until(Duration::from_secs(20), || {
            let said = process.output().stdout;
            match said.split_once('\n') {
                Some((line, _)) => Some(serde_json::from_str::<Value>(line).ok()),
                None => process.ended().map(|_| None),
            }
        });
        let Some(Some(ready)) = ready else {
            panic!("the issuer did not start: {}", process.output().stderr);
        };
        let text = |member: &str| ready[member].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            control: text("control"),
            _process: process,
        }
    }

    /// Starts the issuer on the service's database, so that both share the table `users`.
    pub fn on(database: &OwnDatabase) -> Self {
        Self::start(&["--database", &database.url])
    }

    /// Sends a command such as `rotate`, `down` or `up` to the control interface.
    pub fn control(&self, command: &str) {
        Actor::anonymous(Target::new(vec![self.control.clone()], String::new()))
            .request("POST", &format!("/{command}"), &[], b"")
            .expect(204);
    }

    /// Returns the e-mails that the issuer has sent, oldest first.
    pub fn mailbox(&self) -> Vec<Email> {
        let answer = Actor::anonymous(Target::new(vec![self.control.clone()], String::new()))
            .get("/mailbox")
            .expect(200)
            .json();
        let text = |email: &Value, member: &str| email[member].as_str().unwrap().to_owned();
        let email = |email| Email {
            subject: text(email, "subject"),
            to: text(email, "to"),
            url: text(email, "url"),
            token: text(email, "token"),
        };
        answer.as_array().unwrap().iter().map(email).collect()
    }

    /// Signs up a new user with a unique address.
    pub fn sign_up(&self, name: &str) -> Session {
        let email = format!("{name}-{}@example.com", random::suffix()).to_lowercase();
        self.sign_up_as(name, &email)
    }

    pub fn sign_up_as(&self, name: &str, email: &str) -> Session {
        let caller = Actor::anonymous(Target::new(vec![self.url.clone()], String::new()));
        let body = json!({ "name": name, "email": email, "password": PASSWORD }).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("origin", self.url.as_str()),
        ];
        let answer = caller
            .request("POST", "/api/auth/sign-up/email", &headers, body.as_bytes())
            .expect(200);
        let said = answer.json();
        Session {
            id: said["user"]["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            name: name.to_owned(),
            opaque_token: said["token"].as_str().unwrap().to_owned(),
            cookies: cookies(&answer),
            origin: self.url.clone(),
            caller,
        }
    }
}

pub const PASSWORD: &str = "correct horse battery staple";

#[derive(Debug)]
pub struct Email {
    pub subject: String,
    pub to: String,
    pub url: String,
    /// The token in the URL.
    pub token: String,
}

/// Returns the response's cookies as a browser would send them.
fn cookies(answer: &Response) -> String {
    let lines = answer.headers.get_all("set-cookie").iter();
    let pairs = lines.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}

pub struct Session {
    pub id: String,
    pub email: String,
    pub name: String,
    /// The session token from the response to the sign-up. It is not a JWT.
    pub opaque_token: String,
    cookies: String,
    origin: String,
    caller: Actor,
}

impl Session {
    /// Returns a new JWT of Better Auth's jwt plugin. Two calls within the same second may return the same text,
    /// because the time of issue has whole seconds.
    #[track_caller]
    pub fn token(&self) -> String {
        self.token_from("/api/auth/token")
    }

    /// Returns a new HS256 token from a route that the frontend implements itself.
    #[track_caller]
    pub fn bridge_token(&self) -> String {
        self.token_from("/api/bridge")
    }

    pub fn cookie(&self, name: &str) -> &str {
        let mut pairs = self.cookies.split("; ").filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(found, _)| *found == name);
        found
            .unwrap_or_else(|| panic!("the cookie {name} is missing: {}", self.cookies))
            .1
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Response {
        let headers = [
            ("content-type", "application/json"),
            ("origin", &self.origin),
            ("cookie", &self.cookies),
        ];
        self.caller
            .request("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Requests the link of an e-mail as this user and checks that the issuer reports no error. Redirects are not
    /// followed.
    #[track_caller]
    pub fn follows(&self, url: &str) {
        let path = url
            .strip_prefix(&self.origin)
            .expect("the link should lead to the issuer");
        let headers = [("cookie", self.cookies.as_str())];
        let answer = self.caller.request("GET", path, &headers, b"");
        assert!(matches!(answer.status, 200 | 302), "{url}: {answer}");
        let target = answer.header("location").unwrap_or_default();
        assert!(!target.contains("error"), "{url}: {target}");
    }

    #[track_caller]
    fn token_from(&self, path: &str) -> String {
        let headers = [("cookie", self.cookies.as_str())];
        let answer = self.caller.request("GET", path, &headers, b"").expect(200);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Returns this user as a client of the service that sends this token.
    pub fn calls(&self, app: &TestApp, token: &str) -> Actor {
        Actor {
            id: self.id.clone(),
            email: self.email.clone(),
            name: self.name.clone(),
            ..app.anonymous().with_token(token)
        }
    }
}
