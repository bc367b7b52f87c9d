//! Points the suite at a service that runs already, instead of one per test.
//!
//! `TODO_BASE_URL` (one URL, or several replicas separated by commas: each request goes to a random
//! one) and `TODO_SECRET`, the deployment's `BETTER_AUTH_SECRET`. When its `BETTER_AUTH_URL` is not the
//! default, `TODO_FRONTEND` is that one's origin. With `TODO_DATABASE_URL`, a way to its PostgreSQL, the
//! cases that look into the database run as well.

use std::env;

pub struct Deployment {
    pub base_urls: Vec<String>,
    pub secret: String,
    pub database_url: Option<String>,
}

pub fn deployment() -> Option<Deployment> {
    let base_urls = env::var("TODO_BASE_URL").ok()?;
    let secret = env::var("TODO_SECRET").expect("TODO_BASE_URL needs TODO_SECRET beside it");
    let base_urls = base_urls
        .split(',')
        .map(|url| url.trim().trim_end_matches('/').to_owned());
    Some(Deployment {
        base_urls: base_urls.collect(),
        secret,
        database_url: env::var("TODO_DATABASE_URL").ok(),
    })
}

/// The origin that the service knows as its frontend.
pub fn frontend() -> String {
    env::var("TODO_FRONTEND").unwrap_or_else(|_| "http://localhost:3000".to_owned())
}

/// What a case prints that ends early, before it says why.
pub const NOT_HERE: &str = "not at this deployment: ";

/// Whether a test may start processes and do to databases as it likes; prints why when it may not.
pub fn own_process_allowed() -> bool {
    or_say("it needs a process of its own", deployment().is_none())
}

/// Whether a test may look at and change its own users' rows; prints why when it may not.
pub fn database_known() -> bool {
    let known = deployment().is_none_or(|deployment| deployment.database_url.is_some());
    or_say("it needs TODO_DATABASE_URL", known)
}

fn or_say(why_not: &str, possible: bool) -> bool {
    if !possible {
        println!("{NOT_HERE}{why_not}");
    }
    possible
}
