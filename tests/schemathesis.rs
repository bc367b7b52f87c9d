//! schemathesis: requests made out of the service's own document, good and bad ones, and everything that
//! it can say of the answers. How it is set up, and what is excepted, stands in `schemathesis/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::openapi::operations;
use crate::support::process::Process;
use crate::support::{TestApp, cli, token};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis");
const INSTALL_WITHIN: Duration = Duration::from_secs(300);
/// It takes a minute when it has two processors for itself.
const RUN_WITHIN: Duration = Duration::from_secs(420);

on_both_databases!(
    fn schemathesis_finds_nothing(db: Database) {
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
            // The service is on this machine, whatever else is behind a proxy.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["--config-file", &format!("{HERE}/schemathesis.toml")])
            .args(["run", &format!("{}/openapi.json", app.base_url()), "--no-color"]);
        let said = run(&mut schemathesis, RUN_WITHIN);
        // Nothing was left out, either.
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
);

/// By the rules of OpenAPI 3.1 itself.
#[test]
fn the_document_is_openapi() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let mut validator = Command::new(environment().join("openapi-spec-validator"));
    run(validator.arg(document), Duration::from_secs(60));
}

/// The programs of a virtual environment with what `requirements.txt` says, made where it is missing.
fn environment() -> PathBuf {
    let requirements = format!("{HERE}/requirements.txt");
    let fingerprint = token::fingerprint(&fs::read_to_string(&requirements).unwrap());
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    fs::create_dir_all(&parent).unwrap();
    // One test makes it, in whatever process, and the others wait. Let go of when the file is closed.
    let lock = File::create(parent.join("lock")).unwrap();
    lock.lock().unwrap();
    let home = parent.join(fingerprint.trim_start_matches('-'));
    let ready = home.join("ready");
    let programs = home.join("bin");
    if !ready.exists() {
        let mut probe = Command::new("python3");
        let there = probe.args(["-c", "import venv, ensurepip"]).status();
        assert!(
            there.is_ok_and(|status| status.success()),
            "Python cannot make a virtual environment; apt-get install python3-venv"
        );
        let mut python = Command::new("python3");
        run(python.args(["-m", "venv", "--clear"]).arg(&home), INSTALL_WITHIN);
        let mut pip = Command::new(programs.join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            &requirements,
        ]);
        run(&mut pip, INSTALL_WITHIN);
        File::create(ready).unwrap();
    }
    programs
}

/// What a program wrote, once it has ended well.
#[track_caller]
fn run(command: &mut Command, limit: Duration) -> String {
    let line = format!("{command:?}");
    let mut process = Process::spawn(command);
    let status = process.wait(limit);
    let said = process.said();
    let said = format!("{}{}", said.stdout, said.stderr);
    match status {
        Some(status) if status.success() => said,
        Some(status) => panic!("{line}: {status}\n{said}"),
        None => panic!("{line} does not end within {limit:?}\n{said}"),
    }
}
