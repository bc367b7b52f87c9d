//! Runs the suite against a service that is already running, instead of starting one process per test.
//!
//! `TODO_BASE_URL` is the service's URL, or a comma-separated list of replicas, of which each request uses a
//! random one. `TODO_SECRET` is the deployment's `BETTER_AUTH_SECRET`. If its `BETTER_AUTH_URL` is not the
//! default, `TODO_FRONTEND` must be the origin of that URL. If `TODO_DATABASE_URL` leads to its PostgreSQL,
//! the test cases that access the database run as well.

use std::env;

pub struct Deployment {
    pub base_urls: Vec<String>,
    pub secret: String,
    pub database_url: Option<String>,
}

pub fn deployment() -> Option<Deployment> {
    let base_urls = env::var("TODO_BASE_URL").ok()?;
    let secret = env::var("TODO_SECRET").expect("TODO_BASE_URL requires TODO_SECRET");
    let base_urls = base_urls
        .split(',')
        .map(|url| url.trim().trim_end_matches('/').to_owned());
    Some(Deployment {
        base_urls: base_urls.collect(),
        secret,
        database_url: env::var("TODO_DATABASE_URL").ok(),
    })
}

/// Returns the origin of the frontend that the service is configured for.
pub fn frontend() -> String {
    env::var("TODO_FRONTEND").unwrap_or_else(|_| "http://localhost:3000".to_owned())
}

/// The prefix of the line that a skipped test case prints before the reason.
pub const NOT_HERE: &str = "skipped at this deployment: ";

/// Returns whether a test may start processes and modify databases without restriction. If not, prints the
/// reason.
pub fn own_process_allowed() -> bool {
    or_say("the test needs its own process", deployment().is_none())
}

/// Returns whether a test may read and modify the rows of its own users. If not, prints the reason.
pub fn database_known() -> bool {
    let known = deployment().is_none_or(|deployment| deployment.database_url.is_some());
    or_say("the test needs TODO_DATABASE_URL", known)
}

fn or_say(why_not: &str, possible: bool) -> bool {
    if !possible {
        println!("{NOT_HERE}{why_not}");
    }
    possible
}
