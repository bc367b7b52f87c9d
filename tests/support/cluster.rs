//! One private PostgreSQL server for the tests of this checkout, shared by all test processes.
//!
//! The first test process that needs the server starts it from the installed binaries, and the other
//! processes use the running server. A detached watchdog stops it after the last test process has ended. This works
//! under `cargo test` (threads of one process), under `cargo nextest` (one process per test) and after a test
//! run that was killed.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, thread};

use diesel::Connection as _;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use postgres::{Client, NoTls};

use super::wait;

pub struct Cluster {
    pub port: u16,
    home: PathBuf,
    /// This field is never read. The lock on this file keeps the watchdog from stopping the server.
    _in_use: File,
}

impl Cluster {
    /// Returns the server of this checkout, and starts it if it is not running.
    pub fn get() -> &'static Self {
        static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
        match CLUSTER.get_or_init(Self::join) {
            Ok(cluster) => cluster,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// Returns the URL of a database. The server uses trust authentication and ignores the password, which is in
    /// the URL so that tests can check that it never appears in a log.
    pub fn url(&self, database: &str, password: &str) -> String {
        format!(
            "postgres://postgres:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    pub fn connect(&self, database: &str) -> Client {
        connect(self.port, database).expect("the tests' PostgreSQL should accept connections")
    }

    /// Returns the server's log so far. The prefix of each entry contains the name of the database as `<name>`.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.home.join("server/log")).unwrap()).into_owned()
    }

    fn join() -> Result<Self, String> {
        let home = home();
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let starting = lock_file(&home, "starting.lock");
        starting.lock().unwrap();
        let in_use = lock_file(&home, "in-use.lock");
        in_use.lock_shared().unwrap();
        let binaries = Binaries::find()?;
        let port = match running(&home) {
            Some(port) => port,
            None => start(&home, &binaries)?,
        };
        ensure_watchdog(&home, &binaries);
        Ok(Self {
            port,
            home,
            _in_use: in_use,
        })
    }
}

/// Returns the folder of the server. It depends on the user, the checkout and the value of `POSTGRES_BIN`, so that
/// each combination has a server of its own.
fn home() -> PathBuf {
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    Binaries::named().hash(&mut hasher);
    // The path is short, because the path of the server's Unix socket, which is below it, may have at most 107
    // bytes.
    env::temp_dir().join(format!("todo-backend-{uid}-{:08x}", hasher.finish() as u32))
}

fn lock_file(home: &Path, name: &str) -> File {
    let path = home.join(name);
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn connect(port: u16, database: &str) -> Result<Client, postgres::Error> {
    connect_to(&back_door(port, database))
}

pub fn connect_to(url: &str) -> Result<Client, postgres::Error> {
    Client::connect(url, NoTls)
}

/// Returns the URL with which the tests themselves connect. The statements of these sessions are not logged, so
/// that the server's log contains only the statements of the service.
pub fn back_door(port: u16, database: &str) -> String {
    format!(
        "postgres://postgres@127.0.0.1:{port}/{database}?connect_timeout=5&options=-clog_statement%3Dnone"
    )
}

/// Returns a connection of the type that Diesel's migration harness needs.
pub fn connect_for_migrations(url: &str) -> AsyncConnectionWrapper<AsyncPgConnection> {
    AsyncConnectionWrapper::establish(url).expect("the tests' PostgreSQL should accept connections")
}

/// Returns the port of the server in this folder, if it is running. The pid file alone does not prove that
/// the server runs, because a server that was killed leaves the file behind.
fn running(home: &Path) -> Option<u16> {
    let data = home.join("server/data");
    let pid_file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let port = pid_file.lines().nth(3)?.trim().parse().ok()?;
    let mut connection = connect(port, "postgres").ok()?;
    let setting = connection
        .query_one("SELECT current_setting('data_directory')", &[])
        .ok()?;
    (Path::new(&setting.get::<_, String>(0)) == data).then_some(port)
}

fn start(home: &Path, binaries: &Binaries) -> Result<u16, String> {
    let server = home.join("server");
    if server.exists() {
        // A server that was killed has left this folder behind. Nothing needs its data any more.
        let _ = binaries.stop(home).output();
        fs::remove_dir_all(&server).map_err(|error| format!("{}: {error}", server.display()))?;
    }
    fs::create_dir(&server).map_err(|error| format!("{}: {error}", server.display()))?;
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(&server))?;
    }
    let data = server.join("data");
    let mut initdb = binaries.command("initdb");
    initdb.args([
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]);
    run(initdb.arg("-D").arg(&data))?;

    let mut failure = String::new();
    for _ in 0..5 {
        // Another process may take the port before the server does. The next attempt then uses another port.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let options = format!(
            "-p {port} -k '{}' -c listen_addresses=127.0.0.1 -c max_connections=400 \
             -c shared_buffers=128MB -c fsync=off -c full_page_writes=off \
             -c synchronous_commit=off -c log_statement=none -c log_line_prefix='%m [%p] <%d> '",
            server.display()
        );
        let mut pg_ctl = binaries.command("pg_ctl");
        pg_ctl.arg("-D").arg(&data).arg("-l").arg(server.join("log"));
        match run(pg_ctl.args(["-w", "-t", "60", "-o", &options, "start"])) {
            Ok(()) => return Ok(port),
            Err(reason) => failure = reason,
        }
    }
    let log = fs::read_to_string(server.join("log")).unwrap_or_default();
    Err(format!("the tests' PostgreSQL did not start: {failure}\n{log}"))
}

fn ensure_watchdog(home: &Path, binaries: &Binaries) {
    let lock = lock_file(home, "watchdog.lock");
    if lock.try_lock().is_err() {
        return;
    }
    let script = home.join("watchdog.sh");
    fs::write(&script, include_str!("watchdog.sh")).unwrap();
    let stop = binaries.stop(home);
    // The watchdog runs in its own session and does not inherit the streams of this process, so that it outlives
    // this process and no test runner waits for it.
    Command::new("setsid")
        .args(["--fork", "sh"])
        .arg(script)
        .arg(home)
        .arg(stop.get_program())
        .args(stop.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("setsid should start the watchdog");
    lock.unlock().unwrap();
    let taken = || lock_is_taken(&lock).then_some(());
    wait::until(Duration::from_secs(5), taken).expect("the watchdog should take its lock");
}

fn lock_is_taken(lock: &File) -> bool {
    let taken = lock.try_lock().is_err();
    if !taken {
        lock.unlock().unwrap();
        // This pause gives the watchdog, which waits for the lock, a chance to take it.
        thread::sleep(Duration::from_millis(20));
    }
    taken
}

/// The folder that contains `initdb`, `pg_ctl` and `postgres`.
pub struct Binaries(PathBuf);

impl Binaries {
    pub fn find() -> Result<Self, String> {
        let folders = [Self::named(), Self::newest_of_debian(), Self::of_pg_config()];
        let found = folders
            .into_iter()
            .flatten()
            .find(|folder| folder.join("initdb").is_file());
        found.map(Self).ok_or_else(|| {
            "These tests need PostgreSQL's server binaries, and there are none on this machine. \
             Install them with `apt-get install postgresql`, or set POSTGRES_BIN to the folder \
             that holds `initdb`."
                .to_owned()
        })
    }

    fn named() -> Option<PathBuf> {
        env::var_os("POSTGRES_BIN").map(PathBuf::from)
    }

    fn newest_of_debian() -> Option<PathBuf> {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let newest: u32 = versions.max()?;
        Some(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
    }

    fn of_pg_config() -> Option<PathBuf> {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    }

    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }

    /// Returns a command that runs the program. If the tests run as root, as in most containers, the command runs it
    /// as the user `postgres`, because PostgreSQL refuses to run as root.
    pub fn command(&self, program: &str) -> Command {
        let program = self.path(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }

    fn stop(&self, home: &Path) -> Command {
        let mut command = self.command("pg_ctl");
        command
            .arg("-D")
            .arg(home.join("server/data"))
            .args(["-m", "immediate", "-w", "stop"]);
        command
    }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Runs a command to completion. Its output goes to a file and not to a pipe, because a server that the command
/// starts in the background would keep the pipe open.
pub fn run(command: &mut Command) -> Result<(), String> {
    let mut output = tempfile::tempfile().unwrap();
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    output
        .rewind()
        .and_then(|()| output.read_to_string(&mut said))
        .unwrap();
    Err(format!("{command:?}: {status}\n{said}"))
}
