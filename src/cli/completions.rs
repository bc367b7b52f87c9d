//! `completions SHELL`: prints the completion script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Outcome, print};

pub fn run(shell: Shell) -> Outcome {
    // The script is generated in memory, because `generate` panics if it cannot write, for instance if stdout is
    // closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    print(&String::from_utf8_lossy(&script))
}
