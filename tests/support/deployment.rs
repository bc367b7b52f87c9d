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

/// The prefix of the line that a skipped test prints before the reason.
pub const NOT_HERE: &str = "skipped at this deployment: ";

/// Returns from a test that starts processes of its own, for example with other variables or on a database that
/// it damages, if the suite runs against a deployment.
macro_rules! skip_at_a_deployment {
    () => {
        if $crate::support::deployment::deployment().is_some() {
            println!(
                "{}the test needs its own process",
                $crate::support::deployment::NOT_HERE
            );
            return;
        }
    };
}

/// Returns from a test that accesses the database directly if the suite runs against a deployment whose database
/// URL is not known. The test may access only the rows of its own users, because a deployment has other users too.
macro_rules! skip_without_the_database {
    () => {
        if $crate::support::deployment::deployment().is_some_and(|it| it.database_url.is_none()) {
            println!(
                "{}the test needs TODO_DATABASE_URL",
                $crate::support::deployment::NOT_HERE
            );
            return;
        }
    };
}
