//! Counts the instructions of a request with callgrind. Unlike times, the counts hardly depend on the load of
//! the machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::{Database, Postgres, Sqlite, TestApp, wait};

/// The number of measured requests of each kind. The same number of unmeasured requests precedes them.
const CALLS: u64 = 50;

/// The allowed increase over the recorded counts, in percent. Counts differ with hash seeds, implementations
/// of `memcpy` and versions of the compiler.
const TOLERANCE_PERCENT: u64 = 20;

/// The recorded counts for the four requests of the test, in the same order: thousands of instructions that
/// the whole process executes for one request, in an unoptimized build. These are seven to nine times as many
/// as with the profile `dist` (docs/PERFORMANCE.md), but added work increases both. A commit that raises a
/// figure must state the reason.
fn recorded(database: Database) -> [u64; 4] {
    match database {
        Database::Postgres => [690, 2_050, 860, 850],
        Database::Sqlite => [580, 2_380, 950, 890],
    }
}

#[rstest]
fn a_request_takes_no_more_instructions_than_recorded(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
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
            drop(ada.get("/api/tasks?limit=20").expect(200));
        }),
        ("create", &|| {
            drop(ada.post("/api/tasks", new.clone()).expect(201));
        }),
        ("toggle", &|| drop(ada.patch(&complete).expect(200))),
    ];
    let counter = Counter {
        process: app.process_id(),
        counts: &counts,
    };
    for (number, (name, work)) in works.into_iter().enumerate() {
        let bound = recorded(db)[number] * (100 + TOLERANCE_PERCENT) / 100;
        let now = counter.thousands_a_call(number + 1, work);
        eprintln!("{name}: {now},000 instructions, limit {bound},000");
        assert!(
            now <= bound,
            "{name}: {now},000 instructions exceed the limit of {bound},000"
        );
    }
}

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
        // A dump also resets the counters to zero.
        self.control(&["--dump=calls"]);
        self.total(dump) / CALLS / 1_000
    }

    fn control(&self, arguments: &[&str]) {
        // `callgrind_control` finds Valgrind's pipes by names that contain `USER` or `LOGNAME`, and `HOST`. It
        // needs the same values as the service, whose environment contains only `HOST`.
        let control = Command::new("callgrind_control")
            .env_remove("USER")
            .env_remove("LOGNAME")
            .env("HOST", "127.0.0.1")
            .args(arguments)
            .arg(self.process.to_string())
            .output()
            .expect("valgrind should be installed");
        assert!(control.status.success(), "{control:?}");
    }

    /// Reads the total from the file of this dump, whose name ends in the dump's number. callgrind writes the
    /// file asynchronously.
    fn total(&self, dump: usize) -> u64 {
        let file = self.counts.with_extension(dump.to_string());
        let total = wait::until(Duration::from_secs(10), || {
            let text = fs::read_to_string(&file).ok()?;
            let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
            total.trim().parse().ok()
        });
        total.expect("callgrind should write its dump")
    }
}
