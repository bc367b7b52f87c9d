//! Runs the command line in an environment that contains only `PATH` and what the test sets.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Process;

pub struct Outcome {
    pub success: bool,
    /// `None` if a signal ended the process.
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

/// Returns a command that runs the binary in `folder`, with an environment that contains only `PATH`.
pub fn command(folder: &Path) -> Command {
    command_through(&[], folder)
}

/// Like [`command`], but runs `program`, which must start the binary. Its first item is the name of the program,
/// and the others are arguments. If it is empty, the binary is run directly.
pub fn command_through(program: &[String], folder: &Path) -> Command {
    // With this option, the kernel kills the process when the thread that spawned it ends, even if no destructor
    // runs.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).args(program);
    command.arg(env!("CARGO_BIN_EXE_todo-backend"));
    command.current_dir(folder).env_clear();
    // The service itself needs no PATH, but the wrapper programs of some tests do.
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Runs the binary with these arguments and waits until it exits.
pub fn run(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = command(folder);
    command.envs(environment.iter().copied()).args(arguments);
    let started = Instant::now();
    let mut process = Process::spawn(command);
    let status = process.wait(Duration::from_secs(10));
    let took = started.elapsed();
    let said = process.output();
    let status =
        status.unwrap_or_else(|| panic!("{arguments:?} with {environment:?} did not exit: {}", said.stderr));
    Outcome {
        success: status.success(),
        code: status.code(),
        stdout: said.stdout,
        stderr: said.stderr,
        took,
    }
}
