//! The service in different deployments: with several replicas on one database, behind a load balancer or a
//! transaction pooler, and with PostgreSQL servers, databases and roles that are configured in different ways.

mod balancer;
mod columns;
mod distributable;
mod encodings;
mod isolation_levels;
mod owners;
mod pooler;
mod replicas;
mod roles;
mod rolling_restart;
mod sql;
mod suite;
mod tls;

use std::sync::Arc;
use std::thread;

use crate::support::app::Builder;
use crate::support::{OwnDatabase, TestApp};

/// Starts several processes at the same time on one database, which they reach through `url`.
fn replicas(number: usize, database: &Arc<OwnDatabase>, url: &str) -> Vec<TestApp> {
    let start = || Builder::on(Arc::clone(database)).env("DATABASE_URL", url).start();
    thread::scope(|scope| {
        let starts: Vec<_> = (0..number).map(|_| scope.spawn(start)).collect();
        let replicas = starts
            .into_iter()
            .map(|start| start.join().expect("each replica should start"));
        replicas.collect()
    })
}
