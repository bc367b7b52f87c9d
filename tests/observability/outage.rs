//! The database becomes unavailable and then available again: each change is logged once.

use std::sync::Arc;
use std::time::Duration;

use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::wait;

const LOST: &str = "the database cannot be reached: ";
const RESTORED: &str = "the database can be reached again";

#[test]
fn an_outage_is_logged_once_with_its_cause_and_once_when_it_ends() {
    skip_at_a_deployment!();
    let mut server = OwnPostgres::start();
    let app = Builder::on(Arc::new(server.database()))
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "300")
        .start();
    let ada = app.user("ada");
    for outage in 1..=2 {
        ada.get("/api/tasks").expect(200);
        // `stop_immediately` waits until all processes of the server have ended. After a kill, one of them
        // might answer another request.
        server.stop_immediately();
        for _ in 0..6 {
            ada.get("/api/tasks").assert_unavailable();
        }
        server.start_again();
        let answered = || (ada.get("/api/tasks").status == 200).then_some(());
        wait::until(Duration::from_secs(15), answered).expect("the service should answer again");
        let said = |words: &str| {
            let log = app.log();
            let lines = log.lines().filter(|line| line.contains(words));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        wait::until(Duration::from_secs(5), || {
            (said(RESTORED).len() >= outage).then_some(())
        })
        .expect(RESTORED);
        let (lost, restored) = (said(LOST), said(RESTORED));
        assert_eq!((lost.len(), restored.len()), (outage, outage), "{}", app.log());
        assert!(lost.iter().all(|line| line.contains(" WARN ")), "{lost:?}");
        // Which cause is logged depends on how far the connection attempt came.
        let causes = [
            "error connecting to server",
            "error communicating with the server",
            "connection closed",
            "the database system is",
            "it does not answer in time",
        ];
        let told = |line: &String| {
            let why = line.split(LOST).nth(1).unwrap_or_default();
            causes.iter().any(|cause| why.contains(cause))
        };
        assert!(lost.iter().all(told), "{lost:?}");
    }
}
