//! The first start in an empty folder. Most of these tests set only the port.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::tokens::only_line;
use crate::support::Actor;
use crate::support::actor::Target;
use crate::support::app::{SECRET, launch};
use crate::support::cli::run;
use crate::support::process::Process;

/// Starts the service without settings, except for a free port, because other tests run at the same time.
fn first_start(folder: &Path) -> (Process, String) {
    launch(folder, &[("PORT".to_owned(), "0".to_owned())])
}

fn with_token(base_url: &str, token: &str) -> Actor {
    Actor::anonymous(Target::new(vec![base_url.to_owned()], String::new())).with_token(token)
}

#[test]
fn the_first_start_needs_no_settings_and_prints_what_it_created() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let (process, base_url) = first_start(folder.path());

    const DATABASE: [&str; 3] = ["todo.db", "todo.db-wal", "todo.db-shm"];
    assert!(folder.path().join("data/todo.db").is_file());
    let files: Vec<_> = fs::read_dir(folder.path().join("data"))
        .unwrap()
        .flatten()
        .collect();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("data")), 0o700);
    for file in &files {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
    }
    let secrets: Vec<_> = files
        .iter()
        .filter(|file| !DATABASE.contains(&&*file.file_name().to_string_lossy()))
        .collect();
    assert_eq!(secrets.len(), 1, "{files:?}");
    let secret = secrets[0];
    let secret = fs::read_to_string(secret.path()).unwrap();
    assert!(secret.trim().len() >= 32);

    let said = process.output();
    assert!(said.stdout.contains(&base_url), "{}", said.stdout);
    assert!(said.stdout.contains("data/todo.db"), "{}", said.stdout);
    assert!(said.stdout.contains("todo-backend token"), "{}", said.stdout);
    assert!(!format!("{}{}", said.stdout, said.stderr).contains(secret.trim()));
}

#[test]
fn the_secret_is_created_once() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let token = {
        let (_process, base_url) = first_start(folder.path());
        let printed = run(folder.path(), &[], &["token", "alice"]).expect_success();
        let token = only_line(&printed.stdout).to_owned();
        with_token(&base_url, &token).has_task("kept");
        token
    };
    let (_process, base_url) = first_start(folder.path());
    assert_eq!(with_token(&base_url, &token).titles("/api/tasks"), ["kept"]);
}

#[test]
fn a_token_can_be_printed_before_the_first_start() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let printed = run(folder.path(), &[], &["token", "alice"]).expect_success();
    let (_process, base_url) = first_start(folder.path());
    with_token(&base_url, only_line(&printed.stdout))
        .get("/api/tasks")
        .expect(200);
}

#[test]
fn a_missing_database_is_created_also_with_a_configured_secret() {
    skip_at_a_deployment!();
    for url in ["sqlite://data/todo.db", "sqlite://some/folders/deep/todo.db"] {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("PORT", "0"),
            ("DATABASE_URL", url),
            ("BETTER_AUTH_SECRET", SECRET),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (_process, base_url) = launch(folder.path(), &environment);
        let target = Target::new(vec![base_url], SECRET.to_owned());
        Actor::user(target, "ada").has_task("Buy milk");
        let path = url.strip_prefix("sqlite://").unwrap();
        assert!(folder.path().join(path).is_file());
        let files = fs::read_dir(folder.path().join(path).parent().unwrap())
            .unwrap()
            .flatten();
        let names: Vec<_> = files
            .map(|file| file.file_name().into_string().unwrap())
            .collect();
        assert!(names.iter().all(|name| !name.contains("secret")), "{names:?}");
    }
}

#[test]
fn an_unwritable_folder_is_reported() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "a file where a folder should be").unwrap();
    let outcome = run(folder.path(), &[("PORT", "0")], &[]);
    assert!(!outcome.success);
    assert!(outcome.stderr.contains("data"), "{}", outcome.stderr);
    assert!(
        !outcome.everything().contains("panicked"),
        "{}",
        outcome.everything()
    );
}
