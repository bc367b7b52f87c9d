//! A database whose encoding cannot store every text is refused as a whole, because otherwise single requests
//! would fail.

use std::sync::Arc;

use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::{OwnDatabase, wait};
use std::thread::sleep;
use std::time::Duration;

fn is_refused(encoding: &str, through_a_pooler: bool) {
    let options = format!("ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    let database = Arc::new(OwnDatabase::postgres_with(&options));
    let mut builder = Builder::on(Arc::clone(&database)).env("DATABASE_ACQUIRE_TIMEOUT_MS", "1000");
    let pooler;
    if through_a_pooler {
        pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::Supported);
        builder = builder.env("DATABASE_URL", &pooler.url(database.name()));
    }
    let app = builder.without_its_database().start();
    let says = || app.log().contains("UTF8").then_some(());
    wait::until(Duration::from_secs(10), says).unwrap_or_else(|| panic!("{}", app.log()));
    assert!(app.log().contains(encoding), "{}", app.log());
    // The service retries meanwhile, and the database remains refused.
    for _ in 0..3 {
        app.anonymous().get("/readyz").assert_unavailable();
        app.user("ada").get("/api/tasks").assert_unavailable();
        sleep(Duration::from_millis(400));
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.value(tables).as_deref(), Some("0"));
}

with_a_process_of_its_own!(
    fn a_latin1_database_never_becomes_ready() {
        is_refused("LATIN1", false);
    }

    fn a_database_without_an_encoding_never_becomes_ready() {
        is_refused("SQL_ASCII", false);
    }

    fn a_latin1_database_behind_a_pooler_never_becomes_ready() {
        is_refused("LATIN1", true);
    }
);
