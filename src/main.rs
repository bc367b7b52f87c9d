//! The entry point of the program. The module `cli` parses the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    todo_backend::cli::main()
}
