//! `examples/browser` in a headless Chromium: Better Auth at one origin, the service at another.
//!
//! What is done and seen there is written in `tests/node/scenarios.mjs`.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use crate::better_auth::issuer::Issuer;
use crate::better_auth::node;
use crate::support::{Database, TestApp};

const LIMIT: Duration = Duration::from_secs(180);

#[track_caller]
fn assert_plays(db: Database, scenario: &str) {
    let chromium = chromium();
    // By name: what developers type, and another host than the service's.
    let issuer = Issuer::start(&["--host", "localhost"]);
    let app = TestApp::builder(db).env("BETTER_AUTH_URL", &issuer.url).start();
    issuer.is_told(&format!("service?{}", app.base_url()));

    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    fs::create_dir_all(&pictures).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut command = node::script("browser.mjs");
    command
        .env("CHROMIUM", chromium)
        .env("HOME", home.path())
        .args([scenario, &issuer.url, app.base_url(), &issuer.control])
        .arg(&pictures);
    let mut browser = node::spawn(command);
    let ended = browser.wait(LIMIT);
    let said = browser.said();
    assert!(
        ended.is_some_and(|status| status.success()),
        "{scenario} in the browser ({ended:?}):\n{}{}pictures are in {}",
        said.stdout,
        said.stderr,
        pictures.display()
    );
    print!("{}", said.stdout);
}

/// `CHROMIUM`, or the one that the distribution installs.
fn chromium() -> PathBuf {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let mut candidates = named.into_iter().chain(usual.map(PathBuf::from));
    candidates.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "These tests need Chromium, and there is none on this machine. Install it with \
             `apt-get install chromium`, or set CHROMIUM to its path."
        )
    })
}

on_both_databases!(
    fn two_people_keep_their_tasks_on_a_page_and_neither_sees_the_others(db: Database) {
        assert_plays(db, "two_people");
    }

    fn an_expired_tokens_401_is_readable_by_the_page(db: Database) {
        assert_plays(db, "an_expired_token");
    }

    fn a_page_of_another_origin_gets_nothing(db: Database) {
        assert_plays(db, "a_stranger");
    }
);
