//! The command line, with one file per subcommand.

mod backup;
mod completions;
mod copy;
mod erase;
mod export;
mod healthcheck;
mod inspect_token;
mod migrate;
mod serve;
mod token;

use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{ArgGroup, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Config;
use crate::domain::UserId;
use crate::{openapi, telemetry};

type Outcome<T = ExitCode> = Result<T, Box<dyn std::error::Error>>;

/// The version and the commit. The build takes the commit from the environment variable `COMMIT` (see the Dockerfile).
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("COMMIT").unwrap_or("unknown");
    format!("{} (commit {commit})", env!("CARGO_PKG_VERSION"))
});

/// The backend of a multi-user todo application. Without a subcommand, it runs the service.
#[derive(Parser)]
#[command(version = VERSION.as_str())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print a JWT to try the service with
    Token(token::Arguments),
    /// Read a token on stdin, and explain whether the service would accept it
    InspectToken,
    /// Create the database's tables or bring them up to date, and exit
    Migrate,
    /// Print the configuration, with secrets redacted
    CheckConfig,
    /// Check whether the service on this machine is ready, for a container's health check
    Healthcheck,
    /// Print the OpenAPI document
    Openapi,
    /// Print the completion script for a shell
    Completions { shell: Shell },
    /// Print all data of a user as JSON
    Export { user: String },
    /// Delete all data of a user, except a row that belongs to Better Auth
    Erase {
        user: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Write a consistent snapshot of the embedded database into a new file, even while the service runs
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

pub fn main() -> ExitCode {
    let outcome = run(Cli::parse().command).unwrap_or_else(|error| {
        if log::log_enabled!(log::Level::Error) {
            log::error!("{error}");
        } else {
            // `eprintln!` panics if stderr is closed.
            let _ = writeln!(io::stderr(), "todo-backend: {error}");
        }
        ExitCode::FAILURE
    });
    telemetry::flush();
    outcome
}

fn run(command: Option<Command>) -> Outcome {
    match command {
        // These two commands work without a configuration, because client generators and packagers have none.
        Some(Command::Openapi) => print(openapi::text()),
        Some(Command::Completions { shell }) => completions::run(shell),
        None => {
            let config = Config::load()?;
            config.secret_source.check()?;
            serve::run(&config)
        }
        Some(Command::Token(arguments)) => token::run(&Config::load()?, &arguments),
        Some(Command::InspectToken) => inspect_token::run(&Config::load()?),
        Some(Command::Migrate) => migrate::run(&Config::load()?),
        Some(Command::CheckConfig) => {
            let config = Config::load()?;
            config.secret_source.check()?;
            print(&config.describe())
        }
        Some(Command::Healthcheck) => healthcheck::run(&Config::load()?),
        Some(Command::Export { user }) => export::run(&Config::load()?, &parse_user_id(&user)?),
        Some(Command::Erase { user, yes }) => erase::run(&Config::load()?, &parse_user_id(&user)?, yes),
        Some(Command::Backup { file }) => backup::run(&Config::load()?, &file),
        Some(Command::Copy { from, to }) => copy::run(&Config::load()?, from.as_deref(), to.as_deref()),
    }
}

fn parse_user_id(user: &str) -> Outcome<UserId> {
    UserId::parse(user).ok_or_else(|| unknown_user(user))
}

/// The id is quoted and escaped, because it may contain control characters, which a terminal would interpret.
fn unknown_user(user: &str) -> Box<dyn std::error::Error> {
    format!("there is no user {user:?}").into()
}

/// Prints a text. `print!` would panic if the reader closes the pipe early, as in `todo-backend openapi | head`.
fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
