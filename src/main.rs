//! The command line.

mod cli;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use futures_util::future::select_all;
use sd_notify::NotifyState;
use todo_backend::api::openapi;
use todo_backend::app::Service;
use todo_backend::config::{Config, LogFormat, SecretSource};
use todo_backend::db::{self, Database};
use todo_backend::domain::UserId;
use todo_backend::{app, auth, logging};

use self::cli::{DataCommand, Outcome, print};

/// The build says which commit it is of, through its environment (see the Dockerfile).
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("COMMIT").unwrap_or("unknown");
    format!("{} (commit {commit})", env!("CARGO_PKG_VERSION"))
});

/// The backend of a multi-user todo application. Without a command it serves.
#[derive(Parser)]
#[command(version = VERSION.as_str())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print a JWT to try the service with
    Token {
        user: String,
        #[arg(long)]
        email: Option<String>,
        #[arg(long)]
        name: Option<String>,
        /// How long it holds, in seconds
        #[arg(long, default_value_t = 3600)]
        ttl: u64,
    },
    /// Read a token on stdin, and say what the service would make of it and why
    InspectToken,
    /// Make the database's tables, or bring them up to date, and exit
    Migrate,
    /// Say what configuration is in force, secrets redacted
    CheckConfig,
    /// Ask the service on this machine whether it is ready; for a container's health check
    Healthcheck,
    /// Print the OpenAPI document
    Openapi,
    /// Print the script that completes this command line in a shell
    Completions { shell: Shell },
    #[command(flatten)]
    Data(DataCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(cli.command).unwrap_or_else(|error| {
        if log::log_enabled!(log::Level::Error) {
            log::error!("{error}");
        } else {
            // `eprintln!` would panic where nobody reads.
            let _ = writeln!(io::stderr(), "todo-backend: {error}");
        }
        ExitCode::FAILURE
    });
    logging::flush();
    outcome
}

fn run(command: Option<Command>) -> Outcome<ExitCode> {
    // Neither needs a configuration: whoever builds a client or packs a release has none.
    match command {
        Some(Command::Openapi) => return print(openapi::text()),
        Some(Command::Completions { shell }) => {
            // Not straight to the output, because `generate` panics when nobody reads that any more.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
            return print(&String::from_utf8_lossy(&script));
        }
        _ => {}
    }
    let config = Config::load()?;
    db::check(&config).map_err(|problem| format!("DATABASE_URL: {problem}"))?;
    match command {
        None => serve(&config),
        Some(Command::Openapi | Command::Completions { .. }) => Ok(ExitCode::SUCCESS),
        Some(Command::Token {
            user,
            email,
            name,
            ttl,
        }) => {
            let user = UserId::parse(&user).ok_or("a user id has 1 to 255 characters and is not blank")?;
            let ttl = Duration::from_secs(ttl);
            let secrets = config.secret_source.secrets()?;
            let token = auth::mint(&config, &secrets, &user, email.as_deref(), name.as_deref(), ttl)?;
            print(&format!("{token}\n"))
        }
        Some(Command::InspectToken) => inspect_token(&config),
        Some(Command::Migrate) => {
            logging::start(&config)?;
            let database = Database::open(&config).map_err(|problem| format!("DATABASE_URL: {problem}"))?;
            let outcome = database.migrate();
            outcome.map_err(|error| format!("DATABASE_URL: {error}"))?;
            print(&format!("the tables of {} are up to date\n", config.database_url))
        }
        Some(Command::CheckConfig) => {
            config.secret_source.check()?;
            print(&config.describe())
        }
        Some(Command::Healthcheck) => healthcheck(&config),
        Some(Command::Data(command)) => command.run(&config),
    }
}

fn inspect_token(config: &Config) -> Outcome<ExitCode> {
    let secrets = config.secret_source.existing_secrets()?;
    let mut token = String::new();
    io::stdin().read_to_string(&mut token)?;
    // What people paste is often the whole header.
    let token = token.trim();
    let token = token.strip_prefix("Authorization:").unwrap_or(token).trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let verifier = auth::Verifier::new(config, &secrets);
    let verified = match actix_web::rt::System::new().block_on(verifier.verify(token)) {
        Ok(verified) => verified,
        Err(refusal) => {
            print(&format!("refused: {refusal}\n"))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let user = &verified.user;
    let lines = [
        format!("accepted: signed with {}", verified.algorithm),
        format!("  user   {:?}", user.id().as_str()),
        format!("  email  {}", printable(user.email())),
        format!("  name   {}", printable(user.name())),
        format!("  valid  for another {} s\n", verified.remaining_seconds()),
    ];
    print(&lines.join("\n"))
}

/// A claim is a stranger's text, and control characters in it would be commands to the terminal.
fn printable(claim: Option<&str>) -> String {
    claim.map_or_else(|| "(none)".into(), |text| format!("{text:?}"))
}

fn serve(config: &Config) -> Outcome<ExitCode> {
    logging::start(config)?;
    for variable in &config.ignored_variables {
        log::warn!("{variable} is set, and nothing reads it: write it into DATABASE_URL");
    }
    actix_web::rt::System::new().block_on(async {
        // Before anything that takes time: until then, the first process of a container hears no signal.
        let signals = StopSignals::listen()?;
        let service = app::start(config)?;
        greet(config, &service);
        notify_systemd(NotifyState::Ready);
        let handle = service.server.handle();
        actix_web::rt::spawn(stop_on_signal(signals, handle, service.socket_inherited));
        service.server.await?;
        log::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Does nothing where no service manager asked for it (`NOTIFY_SOCKET`).
fn notify_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("the service manager cannot be notified (NOTIFY_SOCKET): {error}");
    }
}

struct StopSignals(Vec<Signal>);

impl StopSignals {
    fn listen() -> io::Result<Self> {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if !hangup_is_ignored() {
            kinds.push(SignalKind::hangup());
        }
        kinds.into_iter().map(signal).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) {
        let signals = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        select_all(signals).await;
    }
}

/// `nohup` starts a program with SIGHUP ignored, so that it goes on after its terminal is gone. Linux says so
/// in a mask, the signal's bit being the lowest.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// The first signal lets requests in flight finish; a second one ends the process at once.
async fn stop_on_signal(mut signals: StopSignals, server: ServerHandle, socket_inherited: bool) {
    signals.next().await;
    log::info!("stopping: requests in flight may finish");
    notify_systemd(NotifyState::Stopping);
    actix_web::rt::spawn(app::stop(server, socket_inherited));
    signals.next().await;
    log::warn!("stopping at once");
    logging::flush();
    std::process::exit(1);
}

/// For a person who has just started it. A machine that reads the log as JSON gets one line of that.
fn greet(config: &Config, service: &Service) {
    let url = format!("http://{}", service.address);
    let origin = match service.socket_inherited {
        true => " (socket passed by systemd)",
        false => "",
    };
    log::info!("listening on {url}{origin}, data in {}", config.database_url);
    if config.log_format == LogFormat::Json {
        return;
    }
    let mut lines = vec![
        format!("todo-backend {} listens on {url}", env!("CARGO_PKG_VERSION")),
        format!("  data    {}", config.database_url),
    ];
    if let SecretSource::BesideDatabase(file) = &config.secret_source {
        let file = file.display();
        lines.push(format!(
            "  secret  {file} (made for you; a frontend must share it)"
        ));
    }
    lines.push(format!("  try     TOKEN=$({} token alice)", own_name()));
    lines.push(format!(
        "          curl -H \"Authorization: Bearer $TOKEN\" {url}/api/tasks"
    ));
    // Nobody may be listening there, and `println!` would end the service for that.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}

/// How this program was called, to be called again: through cargo, or by its path.
#[expect(
    clippy::disallowed_methods,
    reason = "tells what to type next; it is no setting"
)]
fn own_name() -> String {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run -q --".into(),
        None => std::env::args().next().unwrap_or_else(|| "todo-backend".into()),
    }
}

fn healthcheck(config: &Config) -> Outcome<ExitCode> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("not ready: {status}").into());
    }
    print("ready\n")
}
