//! Points the suite at a service that runs already, instead of one per test.
//!
//! `TODO_BASE_URL` (one URL, or several replicas separated by commas: each request goes to a random
//! one) and `TODO_SECRET`, the deployment's `BETTER_AUTH_SECRET`. When its `BETTER_AUTH_URL` is not the
//! default, `TODO_FRONTEND` is that one's origin.

use std::env;

pub struct Deployment {
    pub base_urls: Vec<String>,
    pub secret: String,
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
    })
}

/// The origin that the service knows as its frontend.
pub fn frontend() -> String {
    env::var("TODO_FRONTEND").unwrap_or_else(|_| "http://localhost:3000".to_owned())
}

/// Whether a test may start processes and look into databases; prints why when it may not.
pub fn own_process_allowed() -> bool {
    let allowed = deployment().is_none();
    if !allowed {
        println!("needs a process of its own");
    }
    allowed
}
