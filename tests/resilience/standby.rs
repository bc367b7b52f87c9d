//! The primary is lost, and its synchronous standby takes over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::killed_database::{ACQUIRE, STATEMENT, write};
use super::watch::{Over, assert_calm, recovers, until_ready_is};
use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;

with_a_process_of_its_own!(
    fn a_promoted_standby_has_everything_that_was_acknowledged_and_takes_writes() {
        let mut primary = OwnPostgres::start();
        let standby = primary.synchronous_standby();
        let url = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            primary.port, standby.port
        );
        let app = Builder::on(Arc::new(standby.database()))
            .env("DATABASE_URL", &url)
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", &ACQUIRE.as_millis().to_string())
            .env(
                "DATABASE_STATEMENT_TIMEOUT_MS",
                &STATEMENT.as_millis().to_string(),
            )
            .start();
        let ada = app.user("ada");
        ada.has_task("before");
        let over = Over::default();
        let acknowledged: Vec<String> = thread::scope(|scope| {
            let writers: Vec<_> = (0..6)
                .map(|writer| {
                    let (ada, over) = (&ada, &over);
                    scope.spawn(move || write(ada, writer, over))
                })
                .collect();
            let guard = over.guard();
            thread::sleep(Duration::from_millis(700));
            primary.kill();
            until_ready_is(503, &app);
            // The standby answers reads already; the service waits for one that takes writes.
            thread::sleep(Duration::from_millis(700));
            assert_eq!(
                standby.database().value("SELECT pg_promote()").as_deref(),
                Some("true")
            );
            recovers(&app.user("bob"));
            until_ready_is(200, &app);
            thread::sleep(Duration::from_millis(500));
            drop(guard);
            let writers = writers.into_iter().map(|writer| writer.join());
            writers
                .flat_map(|written| written.expect("a writer goes on"))
                .collect()
        });

        let mut there: BTreeMap<String, usize> = BTreeMap::new();
        for title in ada.titles("/api/tasks") {
            *there.entry(title).or_default() += 1;
        }
        assert_eq!(there.get("before"), Some(&1));
        assert!(
            acknowledged.len() > 50,
            "only {} were written",
            acknowledged.len()
        );
        for title in acknowledged {
            assert_eq!(there.get(&title), Some(&1), "{title} was acknowledged once");
        }
        assert_calm(&app);
    }
);
