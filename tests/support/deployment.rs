//! Runs the suite against a service that is already running, instead of starting one process per test.
//!
//! `TODO_BASE_URL` is the service's URL, or a comma-separated list of the URLs of its replicas. Each request goes to
//! a random one of them. `TODO_SECRET` is the deployment's `BETTER_AUTH_SECRET`. If the deployment's
//! `BETTER_AUTH_URL` is not the default, `TODO_FRONTEND` must be the origin of that URL. If `TODO_DATABASE_URL` is the
//! URL of the deployment's PostgreSQL database, the test cases that access the database run as well.

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

/// The beginning of the line that a skipped test prints. The reason follows.
pub const NOT_HERE: &str = "skipped at this deployment: ";

macro_rules! skip_if {
    ($condition:expr, $reason:literal) => {
        if $condition {
            println!("{}{}", $crate::support::deployment::NOT_HERE, $reason);
            return;
        }
    };
}

/// Returns from the calling test if the suite runs against a deployment. A test needs this if it starts processes of
/// its own, for example because it sets other variables or damages the database.
macro_rules! skip_at_a_deployment {
    () => {
        skip_if!(
            $crate::support::deployment::deployment().is_some(),
            "the test needs its own process"
        )
    };
}

/// Returns from the calling test if the suite runs against a deployment whose database URL is not known. A test needs
/// this if it accesses the database directly. Such a test may access only the rows of its own users, because a
/// deployment also has other users.
macro_rules! skip_without_the_database {
    () => {
        skip_if!(
            $crate::support::deployment::deployment().is_some_and(|it| it.database_url.is_none()),
            "the test needs TODO_DATABASE_URL"
        )
    };
}
