//! The ways in which it is deployed: behind a transaction pooler, and as many replicas on one database.
//! The whole API suite passes at each of them, for it is the same service.

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

/// Processes that start at once on one database, which they have to agree about, by this way to it.
fn replicas(number: usize, database: &Arc<OwnDatabase>, url: &str) -> Vec<TestApp> {
    let start = || Builder::on(Arc::clone(database)).env("DATABASE_URL", url).start();
    thread::scope(|scope| {
        let starts: Vec<_> = (0..number).map(|_| scope.spawn(start)).collect();
        let replicas = starts.into_iter().map(|start| start.join().expect("it comes up"));
        replicas.collect()
    })
}
