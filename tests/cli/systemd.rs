//! Socket activation by systemd, and the notifications that the service sends to systemd.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::actor::Target;
use crate::support::app::SECRET;
use crate::support::cli::command_through;
use crate::support::process::Process;
use crate::support::raw::Connection;
use crate::support::stop_flag::StopFlag;
use crate::support::{Actor, wait};

/// These scripts start the service as systemd does: the passed sockets are the file descriptors from 3 on, and
/// `LISTEN_PID` is the id of the process that they are meant for.
const ONE_SOCKET: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
const TWO_SOCKETS: &str = "exec 3<&0 4<&0 </dev/null; export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$@\"";
const OF_ANOTHER_PROCESS: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=1; exec \"$@\"";

/// Starts the service through one of the scripts, with an embedded database in this folder. Its stderr is written to a
/// file in the same folder.
fn start(folder: &Path, script: &str, socket: OwnedFd) -> Child {
    let through = ["sh", "-c", script, "sh"].map(str::to_owned);
    let mut command = command_through(&through, folder);
    let log = File::options().create(true).append(true).open(log_file(folder));
    command
        .env("BETTER_AUTH_SECRET", SECRET)
        .env("PORT", "0")
        .env("NOTIFY_SOCKET", folder.join("notify"))
        .stdin(socket)
        .stdout(std::process::Stdio::null())
        .stderr(log.unwrap());
    command.spawn().unwrap()
}

fn log_file(folder: &Path) -> std::path::PathBuf {
    folder.join("log")
}

fn log(folder: &Path) -> String {
    fs::read_to_string(log_file(folder)).unwrap_or_default()
}

/// Binds the socket to which the service sends its notifications. In production, systemd binds it.
fn notifications(folder: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

fn next(notifications: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = notifications
        .recv(&mut message)
        .expect("a notification should arrive");
    String::from_utf8_lossy(&message[..length]).trim().to_owned()
}

fn stop(mut child: Child) -> ExitStatus {
    let id = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-TERM", &id]).status();
    assert!(status.unwrap().success());
    ended(&mut child)
}

fn ended(child: &mut Child) -> ExitStatus {
    let ended = wait::until(Duration::from_secs(15), || child.try_wait().unwrap());
    ended.unwrap_or_else(|| {
        let _ = child.kill();
        panic!("the process did not exit")
    })
}

fn fd(socket: impl Into<OwnedFd>) -> OwnedFd {
    socket.into()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn no_request_fails_during_ten_restarts_with_a_passed_socket() {
    skip_at_a_deployment!();
    const RESTARTS: usize = 10;
    let folder = folder();
    let notifications = notifications(folder.path());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let base_url = format!("http://{address}");
    let ada = Actor::user(Target::new(vec![base_url], SECRET.to_owned()), "ada");
    let token = ada.token.clone().unwrap();
    let request =
        format!("GET /api/tasks HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let start = || {
        let child = start(folder.path(), ONE_SOCKET, fd(socket.try_clone().unwrap()));
        assert_eq!(next(&notifications), "READY=1", "{}", log(folder.path()));
        child
    };
    let mut child = start();
    ada.has_task("Buy milk");
    let (stop_flag, answered) = (StopFlag::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    while !stop_flag.is_set() {
                        let answer = Connection::to(&address).send(&request).read();
                        let answer = answer.expect("the connection should not end without a response");
                        assert_eq!(answer.status, 200, "{answer}");
                        assert!(answer.text().contains("Buy milk"));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let guard = stop_flag.guard();
        for _ in 0..RESTARTS {
            let before = answered.load(Ordering::Relaxed);
            let served = || (answered.load(Ordering::Relaxed) > before + 50).then_some(());
            let served = wait::until(Duration::from_secs(20), served);
            if served.is_none() || clients.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
            let id = child.id().to_string();
            let status = std::process::Command::new("kill").args(["-TERM", &id]).status();
            assert!(status.unwrap().success());
            assert_eq!(next(&notifications), "STOPPING=1");
            assert!(ended(&mut child).success());
            child = start();
        }
        drop(guard);
        let failed = clients.into_iter().filter_map(|client| client.join().err());
        assert_eq!(failed.count(), 0, "{}", log(folder.path()));
    });
    assert!(stop(child).success());
    let log = log(folder.path());
    assert_eq!(log.matches("(socket passed by systemd)").count(), RESTARTS + 1);
}

#[test]
fn anything_but_one_listening_tcp_socket_stops_the_start() {
    skip_at_a_deployment!();
    let listener = || fd(TcpListener::bind("127.0.0.1:0").unwrap());
    let connected = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        fd(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap())
    };
    for (what, script, socket) in [
        ("two sockets", TWO_SOCKETS, listener()),
        ("UDP", ONE_SOCKET, fd(UdpSocket::bind("127.0.0.1:0").unwrap())),
        ("a connection", ONE_SOCKET, connected()),
        ("no socket", ONE_SOCKET, fd(File::open("/dev/null").unwrap())),
    ] {
        let folder = folder();
        let status = ended(&mut start(folder.path(), script, socket));
        assert!(!status.success(), "{what}");
        let log = log(folder.path());
        let lines: Vec<_> = log.lines().filter(|line| line.contains("LISTEN_FDS: ")).collect();
        assert_eq!(lines.len(), 1, "{what}: {log}");
        assert!(!log.contains("panicked"), "{what}: {log}");
    }
}

#[test]
fn a_socket_for_another_process_is_not_used() {
    skip_at_a_deployment!();
    let folder = folder();
    let notifications = notifications(folder.path());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = socket.local_addr().unwrap().to_string();
    let child = start(folder.path(), OF_ANOTHER_PROCESS, fd(socket));
    assert_eq!(next(&notifications), "READY=1");
    let said = || {
        log(folder.path())
            .contains("listening on http://127.0.0.1:")
            .then_some(())
    };
    wait::until(Duration::from_secs(5), said).expect("the address should be logged");
    let log = log(folder.path());
    assert!(!log.contains(&passed), "{log}");
    assert!(stop(child).success());
}

#[test]
fn an_unreachable_service_manager_is_not_an_error() {
    skip_at_a_deployment!();
    let folder = folder();
    let mut command = command_through(&[], folder.path());
    command
        .env("BETTER_AUTH_SECRET", SECRET)
        .env("PORT", "0")
        .env("NOTIFY_SOCKET", folder.path().join("nobody"));
    let mut process = Process::spawn(command);
    let warned = || process.output().stderr.contains("NOTIFY_SOCKET").then_some(());
    wait::until(Duration::from_secs(20), warned).expect("a warning should be logged");
    assert!(process.ended().is_none());
}
