//! The program without a subcommand: runs the service until it is stopped.

use std::io::{self, Write as _};
use std::process::ExitCode;

use actix_web::dev::ServerHandle;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use futures_util::future::select_all;
use sd_notify::NotifyState;

use super::Outcome;
use crate::app::{self, Service};
use crate::config::{Config, LogFormat, SecretSource};
use crate::telemetry;

pub fn run(config: &Config) -> Outcome {
    telemetry::start(config)?;
    for variable in &config.ignored_variables {
        log::warn!("{variable} is ignored: set the parameter in DATABASE_URL instead");
    }
    actix_web::rt::System::new().block_on(async {
        // Signals are handled before the service starts, because the first process of a container ignores signals that
        // have no handler.
        let signals = StopSignals::listen()?;
        let service = app::start(config)?;
        print_banner(config, &service);
        notify_systemd(NotifyState::Ready);
        let handle = service.server.handle();
        actix_web::rt::spawn(stop_on_signal(signals, handle, service.socket_inherited));
        service.server.await?;
        service.database.close();
        log::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Does nothing unless the service manager has set `NOTIFY_SOCKET`.
fn notify_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("the service manager cannot be notified (NOTIFY_SOCKET): {error}");
    }
}

struct StopSignals(Vec<Signal>);

impl StopSignals {
    fn listen() -> io::Result<Self> {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if !sighup_is_ignored() {
            kinds.push(SignalKind::hangup());
        }
        kinds.into_iter().map(signal).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) {
        let signals = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        select_all(signals).await;
    }
}

/// Returns whether SIGHUP is ignored. `nohup` starts a program in this way, so that the program keeps running after its
/// terminal is closed. On Linux, the lowest bit of the mask `SigIgn` stands for SIGHUP.
fn sighup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// After the first signal, requests in flight may finish. A second signal terminates the process at once.
async fn stop_on_signal(mut signals: StopSignals, server: ServerHandle, socket_inherited: bool) {
    signals.next().await;
    log::info!("stopping: requests in flight may finish");
    notify_systemd(NotifyState::Stopping);
    actix_web::rt::spawn(app::stop(server, socket_inherited));
    signals.next().await;
    log::warn!("stopping at once after a second signal");
    telemetry::flush();
    std::process::exit(1);
}

/// Logs the address. Also prints commands for a first request, unless the log is JSON, which programs read.
fn print_banner(config: &Config, service: &Service) {
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
    if let SecretSource::Generated(file) = &config.secret_source {
        lines.push(format!(
            "  secret  {} (generated; a frontend whose tokens are HS256 must have the same)",
            file.display()
        ));
    }
    lines.push(format!("  try     TOKEN=$({} token alice)", program_command()));
    lines.push(format!(
        "          curl -H \"Authorization: Bearer $TOKEN\" {url}/api/tasks"
    ));
    // `println!` would panic if stdout is closed.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}

/// Returns the command that starts this program again: `cargo run` if cargo started it, and otherwise the first word of
/// its own command line.
#[expect(
    clippy::disallowed_methods,
    reason = "the variable only changes what the banner shows and is not a setting"
)]
fn program_command() -> String {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run -q --".into(),
        None => std::env::args().next().unwrap_or_else(|| "todo-backend".into()),
    }
}
