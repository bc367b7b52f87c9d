//! `completions SHELL`: prints the completion script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Outcome, print};

pub fn run(shell: Shell) -> Outcome {
    // `generate` panics if a write fails, for instance because stdout is closed, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    print(&String::from_utf8_lossy(&script))
}
