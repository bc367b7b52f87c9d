//! A transaction pooler that does not support prepared statements.

use std::sync::Arc;
use std::time::Duration;

use crate::support::app::Builder;
use crate::support::cluster::Cluster;
use crate::support::pgbouncer::{PgBouncer, PreparedStatements};
use crate::support::{Database, OwnDatabase, statements, wait};

#[test]
fn a_pooler_without_support_for_prepared_statements_is_refused() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    statements::record(&database);
    let pooler = PgBouncer::before(Cluster::get().port, PreparedStatements::PassedOn);
    let app = Builder::on(Arc::clone(&database))
        .env("DATABASE_URL", &pooler.url(database.name()))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "1000")
        .without_its_database()
        .start();
    app.anonymous().get("/readyz").expect(503);
    app.user("ada").get("/api/tasks").expect(503);
    let said = || {
        let log = app.log();
        let refused = log.contains("does not support protocol-level prepared statements");
        (refused && log.contains("PgBouncer 1.21")).then_some(())
    };
    wait::until(Duration::from_secs(20), said).expect("the log should name the required version");
    let executed = statements::recorded(&database);
    assert!(
        executed.iter().all(|statement| !statement.prepared),
        "{executed:#?}"
    );
}
