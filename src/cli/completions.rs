//! `completions SHELL`: the script that completes the command line in a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Outcome, print};

pub fn run(shell: Shell) -> Outcome {
    // Into memory first: `generate` panics if it cannot write, as when stdout is closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    print(&String::from_utf8_lossy(&script))
}
