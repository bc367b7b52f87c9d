//! Behind a pooler that lends servers out by the transaction, with nothing configured for it.

use std::sync::Arc;

use super::{replicas, suite};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Cluster;
use crate::support::{Database, OwnDatabase};

with_a_process_of_its_own!(
    fn the_whole_api_suite_passes_through_a_transaction_pooler() {
        let database = Arc::new(OwnDatabase::create(Database::Postgres));
        let pooler = PgBouncer::before(Cluster::get().port);
        // The migrations go that way as well. Two processes have more connections than the pooler has
        // servers: whatever one leaves behind in a session, another meets.
        let replicas = replicas(2, &database, &pooler.url(database.name()));
        for replica in &replicas {
            let log = replica.log();
            assert!(log.contains("a connection pooler answers"), "{log}");
        }
        suite::passes_at(&replicas);
    }
);
