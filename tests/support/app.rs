//! A running service for one test: a process that the test starts, or the deployment under test.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::actor::{self, Actor, Target};
use super::cli;
use super::database::{Database, OwnDatabase};
use super::deployment::deployment;
use super::process::{Output, Process};
use super::{random, wait};

/// A secret that is also valid base64, because some tests check that the service does not decode it.
pub const SECRET: &str = "dGhlIHRlc3Qgc3VpdGUncyBzZWNyZXQsIG5vYm9keSBlbHNlJ3M=";

pub struct TestApp {
    target: Arc<Target>,
    suffix: String,
    own: Option<Own>,
    /// `None` for a deployment whose database URL is not known.
    database: Option<Arc<OwnDatabase>>,
}

/// The process of a test that does not run against a deployment, and the folder in which it runs. When this
/// value is dropped, the process ends before the folder is deleted.
struct Own {
    process: Process,
    start: Start,
    folder: TempDir,
}

/// Kills the process. SIGTERM would take longer, because the service would still accept connections for 200 ms. No
/// test checks how the process of a finished test stops.
impl Drop for Own {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// How a process is started.
struct Start {
    /// The program that starts the service, with its arguments. Empty if the service is started directly.
    through: Vec<String>,
    environment: Vec<(String, String)>,
    /// The path that returns 200 as soon as the test may continue.
    until: &'static str,
}

impl TestApp {
    pub fn start(database: Database) -> Self {
        match deployment() {
            None => Self::builder(database).start(),
            Some(deployment) => Self {
                target: Target::new(deployment.base_urls, deployment.secret),
                suffix: random::suffix(),
                own: None,
                database: deployment
                    .database_url
                    .map(OwnDatabase::of_deployment)
                    .map(Arc::new),
            },
        }
    }

    pub fn builder(database: Database) -> Builder {
        Builder::on(Arc::new(OwnDatabase::create(database)))
    }

    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(Arc::clone(&self.target))
    }

    /// Returns a user whose id consists of this name and the random suffix of this `TestApp`. Tests therefore do not
    /// share users.
    pub fn user(&self, name: &str) -> Actor {
        self.user_with_id(&format!("{name}-{}", self.suffix))
    }

    /// Returns a user with exactly this id. Two tests must not use the same id.
    pub fn user_with_id(&self, id: &str) -> Actor {
        Actor::user(Arc::clone(&self.target), id)
    }

    /// Returns a name that no other test uses.
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn base_url(&self) -> &str {
        self.target.base_url()
    }

    pub fn secret(&self) -> &str {
        &self.target.secret
    }

    /// Returns everything that the process has written to both streams so far.
    pub fn log(&self) -> String {
        let Output { stdout, stderr } = self.output();
        format!("{stdout}{stderr}")
    }

    pub fn output(&self) -> Output {
        self.own().process.output()
    }

    pub fn database(&self) -> &Arc<OwnDatabase> {
        self.database
            .as_ref()
            .expect("the test case should begin with `skip_without_the_database!()`")
    }

    /// The process's working directory.
    pub fn folder(&self) -> &Path {
        self.own().folder.path()
    }

    /// Sends SIGTERM, as an orchestrator does. Returns whether the process exits successfully within 10 seconds.
    pub fn stop(&mut self) -> bool {
        let process = &mut self.own_mut().process;
        process.terminate();
        process
            .wait(Duration::from_secs(10))
            .is_some_and(|status| status.success())
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub fn kill(&mut self) {
        self.own_mut().process.kill();
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.own_mut().process
    }

    pub fn process_id(&self) -> u32 {
        self.own().process.id()
    }

    /// Sends a signal and does not wait for its effect.
    pub fn signal(&self, signal: &str) {
        self.own().process.signal(signal);
    }

    /// Stops the process and starts a new one with the same folder, environment and database. The new process
    /// listens on another port, so actors that were created before the restart must be created again.
    pub fn restart(&mut self) {
        self.stop();
        let own = self.own_mut();
        let (process, base_url) = launch_as(&own.start, own.folder.path());
        own.process = process;
        self.target = Target::new(vec![base_url], self.target.secret.clone());
    }

    fn own(&self) -> &Own {
        self.own
            .as_ref()
            .expect("the test should have a process of its own")
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own
            .as_mut()
            .expect("the test should have a process of its own")
    }
}

/// Gives access to the methods of [`OwnDatabase`], such as `app.execute(sql)`. They access the database directly,
/// not through the service.
impl Deref for TestApp {
    type Target = OwnDatabase;

    fn deref(&self) -> &OwnDatabase {
        self.database()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // The message of an assertion in a loop over the contracts may not name the contract. The path does.
        eprintln!("--- last request: {}", actor::last_request());
        if let Some(own) = &self.own {
            let said = own.process.output();
            eprintln!("--- output of the service:\n{}{}---", said.stdout, said.stderr);
        }
    }
}

pub struct Builder {
    database: Arc<OwnDatabase>,
    start: Start,
}

impl Builder {
    /// Builds a process on an existing database.
    pub fn on(database: Arc<OwnDatabase>) -> Self {
        let environment = vec![
            ("HOST".to_owned(), "127.0.0.1".to_owned()),
            ("PORT".to_owned(), "0".to_owned()),
            ("DATABASE_URL".to_owned(), database.url.clone()),
            ("BETTER_AUTH_SECRET".to_owned(), SECRET.to_owned()),
            // These timeouts are long, so that they do not expire on a busy machine. Tests of the timeouts set
            // other values.
            ("DATABASE_ACQUIRE_TIMEOUT_MS".to_owned(), "10000".to_owned()),
            ("DATABASE_STATEMENT_TIMEOUT_MS".to_owned(), "10000".to_owned()),
        ];
        let start = Start {
            through: Vec::new(),
            environment,
            until: "/readyz",
        };
        Self { database, start }
    }

    /// Makes [`Self::start`] wait for `/livez` instead of `/readyz`, which does not return 200 while the database
    /// cannot be used.
    pub fn without_its_database(mut self) -> Self {
        self.start.until = "/livez";
        self
    }

    /// Starts the service through another program, such as `env --ignore-signal=…`, that changes what the service
    /// inherits.
    pub fn through(mut self, program: &[&str]) -> Self {
        self.start.through = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        let environment = &mut self.start.environment;
        environment.retain(|(other, _)| other != name);
        environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn start(self) -> TestApp {
        let folder = tempfile::tempdir().unwrap();
        let (process, base_url) = launch_as(&self.start, folder.path());
        let mut environment = self.start.environment.iter();
        let secret = environment.find(|(name, _)| name == "BETTER_AUTH_SECRET");
        let secret = secret.map(|(_, value)| value.clone()).unwrap_or_default();
        TestApp {
            target: Target::new(vec![base_url], secret),
            suffix: random::suffix(),
            own: Some(Own {
                process,
                start: self.start,
                folder,
            }),
            database: Some(self.database),
        }
    }
}

/// Starts the binary, waits until it is ready and returns its base URL.
pub fn launch(folder: &Path, environment: &[(String, String)]) -> (Process, String) {
    let start = Start {
        through: Vec::new(),
        environment: environment.to_vec(),
        until: "/readyz",
    };
    launch_as(&start, folder)
}

/// The maximum time for each step of a start. It is long because other tests run on the same processors.
const START_TIMEOUT: Duration = Duration::from_mins(1);

fn launch_as(start: &Start, folder: &Path) -> (Process, String) {
    let mut command = cli::command_through(&start.through, folder);
    command.envs(start.environment.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn(command);
    let base_url = wait::until(START_TIMEOUT, || {
        let said = process.output();
        if let Some(url) = announced(&said.stdout).or_else(|| announced(&said.stderr)) {
            return Some(Ok(url));
        }
        process.ended().map(Err)
    });
    let base_url = match base_url {
        Some(Ok(url)) => url,
        Some(Err(status)) => {
            process.wait(Duration::from_secs(1));
            let Output { stdout, stderr } = process.output();
            panic!("the service exited during startup ({status})\n{stdout}{stderr}");
        }
        None => {
            let Output { stdout, stderr } = process.output();
            panic!("the service did not log its address\n{stdout}{stderr}");
        }
    };
    let probe = Actor::anonymous(Target::new(vec![base_url.clone()], String::new()));
    let serves = || {
        probe
            .try_get(start.until)
            .filter(|response| response.status == 200)
    };
    if wait::until(START_TIMEOUT, serves).is_none() {
        let Output { stdout, stderr } = process.output();
        panic!("the service did not become ready on {base_url}\n{stdout}{stderr}");
    }
    (process, base_url)
}

/// Returns the first `http://127.0.0.1:<port>` in the text that is followed by another character. At the end of
/// the text, the last digits of the port may be missing, because they have not been read yet.
fn announced(said: &str) -> Option<String> {
    const START: &str = "http://127.0.0.1:";
    said.match_indices(START).find_map(|(at, _)| {
        let rest = &said[at + START.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        (end > 0).then(|| format!("{START}{}", &rest[..end]))
    })
}
