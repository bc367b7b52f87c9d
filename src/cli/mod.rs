//! The commands about data, a file each. None of them needs the secret.

mod backup;
mod copy;
mod erase;
mod export;

use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use todo_backend::config::Config;
use todo_backend::domain::UserId;

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Subcommand)]
pub enum DataCommand {
    /// Print all that is kept of a user, as JSON
    Export { user: String },
    /// Delete all that is kept of a user
    Erase {
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write a consistent snapshot of the embedded database into a new file, while the service runs
    Backup { file: PathBuf },
    /// Copy all users, tasks and idempotency keys into another database, which has no tasks yet
    #[command(group = ArgGroup::new("other").required(true).multiple(true))]
    Copy {
        /// The source, if it is not DATABASE_URL
        #[arg(long, value_name = "URL", group = "other")]
        from: Option<String>,
        /// The target, if it is not DATABASE_URL
        #[arg(long, value_name = "URL", group = "other")]
        to: Option<String>,
    },
}

impl DataCommand {
    pub fn run(self, config: &Config) -> Outcome<ExitCode> {
        match self {
            Self::Export { user } => export::run(config, &known(&user)?),
            Self::Erase { user, yes } => erase::run(config, &known(&user)?, yes),
            Self::Backup { file } => backup::run(config, &file),
            Self::Copy { from, to } => copy::run(config, from.as_deref(), to.as_deref()),
        }
    }
}

fn known(user: &str) -> Outcome<UserId> {
    UserId::parse(user).ok_or_else(|| unknown(user))
}

/// With quotation marks and escapes, because it came from somewhere else and goes to a terminal.
fn unknown(user: &str) -> Box<dyn std::error::Error> {
    format!("there is no user {user:?}").into()
}

/// `print!` would panic when the reader goes away early, as in `todo-backend openapi | head`.
pub fn print(text: &str) -> Outcome<ExitCode> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
