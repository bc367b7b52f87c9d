//! Runs the frontend and the service as processes, and a scenario in Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;

use super::workspace::{frontend, node};
use crate::better_auth::node as tests_node;
use crate::support::actor::Target;
use crate::support::own_postgres::free_port;
use crate::support::process::Process;
use crate::support::{Actor, Database, OwnDatabase, TestApp, wait};

/// The time limit for the start of the frontend. It is generous because other tests run on the same
/// processors.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(400);

pub struct Stack {
    pub app: TestApp,
    frontend: Process,
    url: String,
    /// The folder with the frontend's files and the SQLite file of Better Auth, and the PostgreSQL database
    /// that Better Auth uses instead if the service uses PostgreSQL.
    _accounts: (TempDir, Option<OwnDatabase>),
}

impl Stack {
    pub fn start(kind: Database) -> Self {
        // Each frontend keeps its data next to its files, so each gets a folder of its own. The folder
        // contains hard links to the files of the one build. It is below the target folder because hard links
        // need the same file system.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = folder.path().join("frontend");
        let copied = Command::new("cp").arg("-al").arg(frontend()).arg(&home).status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "the build should be copied"
        );

        // As on a developer's machine, the frontend's URL contains `localhost`. The service's URL contains
        // 127.0.0.1, so the two are different hosts.
        let (own, services) = (free_port(), free_port());
        let url = format!("http://localhost:{own}");
        let app = TestApp::builder(kind)
            .env("PORT", &services.to_string())
            .env("BETTER_AUTH_URL", &url)
            .start();

        let accounts = (kind == Database::Postgres).then(|| OwnDatabase::create(kind));
        let mut command = node();
        command
            .arg("server.js")
            .current_dir(&home)
            .env("NODE_ENV", "production")
            .env("HOSTNAME", "127.0.0.1")
            .env("PORT", own.to_string())
            .env("BETTER_AUTH_URL", &url)
            .env("TODO_URL", app.base_url());
        if let Some(database) = &accounts {
            command.env("DATABASE_URL", &database.url);
            command.env(
                "BETTER_AUTH_SECRET",
                "the frontend's own, which the service does not know",
            );
        }
        let process = Process::spawn(command);
        let probe = Actor::anonymous(Target::new(vec![url.clone()], String::new()));
        let serves = || {
            probe
                .try_get("/api/auth/ok")
                .filter(|answer| answer.status == 200)
        };
        if wait::until(START_TIMEOUT, serves).is_none() {
            let said = process.output();
            panic!(
                "the frontend did not become ready at {url}\n{}{}",
                said.stdout, said.stderr
            );
        }
        Self {
            app,
            frontend: process,
            url,
            _accounts: (folder, accounts),
        }
    }

    /// Runs a scenario of `tests/node/scenarios.mjs`, which may request that the service be stopped or
    /// started.
    #[track_caller]
    pub fn run_scenario(&mut self, scenario: &str, arguments: &[&str]) {
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        fs::create_dir_all(&pictures).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = tests_node::script("frontend.mjs");
        command
            .env("CHROMIUM", chromium())
            .env("HOME", home.path())
            .args([scenario, &self.url, self.app.base_url()])
            .arg(&pictures)
            .args(arguments);
        let mut browser = tests_node::spawn(command);
        let mut done = 0;
        let ended = wait::until(TIMEOUT, || {
            let said = browser.output().stdout;
            let asked: Vec<&str> = said.lines().filter(|line| line.starts_with("please ")).collect();
            for request in &asked[done..] {
                self.handle_request(request);
            }
            done = asked.len();
            browser.ended()
        });
        let said = browser.output();
        assert!(
            ended.is_some_and(|status| status.success()),
            "{scenario} in the browser ({ended:?}):\n{}{}pictures are in {}\noutput of the frontend:\n{}{}",
            said.stdout,
            said.stderr,
            pictures.display(),
            self.frontend.output().stdout,
            self.frontend.output().stderr,
        );
        print!("{}", said.stdout);
    }

    fn handle_request(&mut self, request: &str) {
        match request {
            "please stop the service" => assert!(self.app.stop(), "the service should exit successfully"),
            "please start the service" => self.app.restart(),
            other => panic!("unknown request: {other}"),
        }
    }
}

/// Returns the path in `CHROMIUM`, or the first of the usual paths at which there is a browser.
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
