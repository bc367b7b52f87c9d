//! Runs the command line to its end, in an environment that holds nothing but what a test put there.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Process;

pub struct Outcome {
    pub success: bool,
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Outcome {
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.success, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// The binary in `folder`, with a cleared environment.
pub fn command(folder: &Path) -> Command {
    command_through(&[], folder)
}

/// The same, started by another program with its arguments, if any.
pub fn command_through(program: &[String], folder: &Path) -> Command {
    // The kernel ends it with the test process, however that ends: a destructor may never run.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).args(program);
    command.arg(env!("CARGO_BIN_EXE_todo-backend"));
    command.current_dir(folder).env_clear();
    // For the tools that a test or a debugger calls through it; the service itself needs none.
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

pub fn run(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = command(folder);
    command.envs(environment.iter().copied()).args(arguments);
    let started = Instant::now();
    let mut process = Process::spawn(command);
    let status = process.wait(Duration::from_secs(10));
    let took = started.elapsed();
    let said = process.said();
    let status =
        status.unwrap_or_else(|| panic!("{arguments:?} with {environment:?} does not end: {}", said.stderr));
    Outcome {
        success: status.success(),
        code: status.code(),
        stdout: said.stdout,
        stderr: said.stderr,
        took,
    }
}
