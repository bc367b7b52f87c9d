//! As many processes as one likes, behind any load balancer: none has a state of its own that matters.

use std::sync::Arc;

use super::{replicas, suite};
use crate::support::{Database, OwnDatabase};

with_a_process_of_its_own!(
    fn the_whole_api_suite_passes_whichever_of_three_replicas_takes_each_request() {
        let database = Arc::new(OwnDatabase::create(Database::Postgres));
        suite::passes_at(&replicas(3, &database, &database.url));
    }
);
