//! schemathesis sends valid and invalid requests that it generates from the OpenAPI document, and checks the
//! responses. Its configuration, with the exceptions, is in `schemathesis/`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rstest::rstest;

use crate::openapi::operations;
use crate::support::process::run;
use crate::support::{Database, Postgres, Sqlite, TestApp, cli, python};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis");
/// A run takes one minute if it has two processors to itself.
const RUN_WITHIN: Duration = Duration::from_mins(7);

#[rstest]
fn schemathesis_finds_nothing(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let python = environment();
    let app = TestApp::builder(db).env("RUST_LOG", "error").start();
    let variables = [
        ("DATABASE_URL", &*app.database().url),
        ("BETTER_AUTH_SECRET", app.secret()),
    ];
    let token = cli::run(app.folder(), &variables, &["token", "ada"]).expect_success();
    let folder = tempfile::tempdir().unwrap();
    let mut schemathesis = Command::new(python.join("schemathesis"));
    schemathesis
        .current_dir(folder.path())
        .env("TODO_URL", app.base_url())
        .env("TODO_TOKEN", token.stdout.trim())
        .env("SCHEMATHESIS_HOOKS", format!("{HERE}/hooks.py"))
        // The service runs on this machine, so a configured proxy must not be used.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--config-file", &format!("{HERE}/schemathesis.toml")])
        .args(["run", &format!("{}/openapi.json", app.base_url()), "--no-color"]);
    let said = run(&mut schemathesis, RUN_WITHIN);
    // All operations of the document must have been tested.
    let tested = format!("Tested: {}\n", operations().len());
    assert!(
        said.contains("No issues found") && said.contains(&tested),
        "{said}"
    );
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅ {phase}\n")), "{said}");
    }
    let log = app.log();
    assert!(!log.contains(" ERROR todo_backend"), "{log}");
}

fn environment() -> PathBuf {
    python::programs(&format!("{HERE}/requirements.txt"))
}

/// Validates the document against the specification of OpenAPI 3.1.
#[test]
fn the_document_conforms_to_openapi() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let mut validator = Command::new(environment().join("openapi-spec-validator"));
    run(validator.arg(document), Duration::from_mins(1));
}
