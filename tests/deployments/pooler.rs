//! Behind a pooler that lends servers out by the transaction, with nothing configured for it.

use std::sync::Arc;
use std::time::Duration;

use super::{replicas, suite};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Cluster;
use crate::support::{Database, OwnDatabase, wait};

with_a_process_of_its_own!(
    fn the_whole_api_suite_passes_through_a_transaction_pooler() {
        let database = Arc::new(OwnDatabase::create(Database::Postgres));
        let pooler = PgBouncer::before(Cluster::get().port);
        // The migrations go that way as well. Two processes have more connections than the pooler has
        // servers: whatever one leaves behind in a session, another meets.
        let replicas = replicas(2, &database, &pooler.url(database.name()));
        for replica in &replicas {
            let said = || {
                replica
                    .log()
                    .contains("a connection pooler answers")
                    .then_some(())
            };
            wait::until(Duration::from_secs(5), said).expect("what it found");
        }
        suite::passes_at(&replicas);
    }
);
