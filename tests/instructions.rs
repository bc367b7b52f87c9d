//! What a call costs, in instructions: callgrind counts them, so no busy machine moves them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{Database, TestApp, wait};

/// So many of each, after as many that are not counted.
const CALLS: u64 = 50;

/// How much more than was measured is let through, in percent: other hash seeds, another machine's
/// routines for copying memory, a new compiler.
const HEAD_ROOM: u64 = 20;

/// Thousands of instructions of the whole process for one call, as the tests build it: without
/// optimisation a call takes about seven times what a release takes (docs/PERFORMANCE.md), but work that is
/// added adds to both. Raise a figure only together with its reason.
fn measured(database: Database) -> [u64; 4] {
    match database {
        Database::Postgres => [720, 2_110, 910, 930],
        Database::Sqlite => [750, 2_380, 960, 950],
    }
}

on_both_databases!(
    fn a_call_takes_no_more_instructions_than_it_did(db: Database) {
        let folder = tempfile::tempdir().unwrap();
        let counts = folder.path().join("counts");
        let file = format!("--callgrind-out-file={}", counts.display());
        let app = TestApp::builder(db)
            .env("LOG_FORMAT", "json")
            .through(&["valgrind", "--tool=callgrind", "--instr-atstart=no", &file])
            .start();
        let ada = app.user("ada");
        for number in 0..20 {
            let task = json!({"title": format!("Task {number}"), "description": "As long as they often are"});
            ada.post("/api/tasks", task).expect(201);
        }
        let one = ada.has_task("The one")["id"].to_string();
        let item = format!("/api/tasks/{one}");
        let complete = format!("{item}/complete");
        let new = json!({"title": "One more"});
        let works: [(&str, &dyn Fn()); 4] = [
            ("one task by id", &|| drop(ada.get(&item).expect(200))),
            ("a page of 20", &|| {
                drop(ada.get("/api/tasks?limit=20").expect(200))
            }),
            ("create", &|| {
                drop(ada.post("/api/tasks", new.clone()).expect(201))
            }),
            ("toggle", &|| drop(ada.patch(&complete).expect(200))),
        ];
        let counter = Counter {
            process: app.process_id(),
            counts: &counts,
        };
        for (number, (name, work)) in works.into_iter().enumerate() {
            let bound = measured(db)[number] * (100 + HEAD_ROOM) / 100;
            let now = counter.thousands_a_call(number + 1, work);
            eprintln!("{name}: {now},000 instructions, at most {bound},000");
            assert!(
                now <= bound,
                "{name}: {now},000 instructions, and not {bound},000 at most"
            );
        }
    }
);

struct Counter<'a> {
    process: u32,
    counts: &'a Path,
}

impl Counter<'_> {
    fn thousands_a_call(&self, dump: usize, work: &dyn Fn()) -> u64 {
        let calls = || (0..CALLS).for_each(|_| work());
        calls();
        self.control(&["-i", "on"]);
        calls();
        self.control(&["-i", "off"]);
        // And from zero again.
        self.control(&["--dump=calls"]);
        self.total(dump) / CALLS / 1_000
    }

    fn control(&self, arguments: &[&str]) {
        // It finds the process by names that both make of these variables; the service has few others.
        let control = Command::new("callgrind_control")
            .env_remove("USER")
            .env_remove("LOGNAME")
            .env("HOST", "127.0.0.1")
            .args(arguments)
            .arg(self.process.to_string())
            .output()
            .expect("valgrind is installed");
        assert!(control.status.success(), "{control:?}");
    }

    /// Of the file that a dump makes: its name ends in a number, and it comes in its own time.
    fn total(&self, dump: usize) -> u64 {
        let file = self.counts.with_extension(dump.to_string());
        let total = wait::until(Duration::from_secs(10), || {
            let text = fs::read_to_string(&file).ok()?;
            let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
            total.trim().parse().ok()
        });
        total.expect("callgrind writes what it counted")
    }
}
