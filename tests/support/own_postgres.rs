//! A PostgreSQL server for one test, which the test may configure, stop and kill. Tests never do this with the shared
//! server.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::cluster::{Binaries, connect, is_root, run};
use super::database::{DATABASE_PASSWORD, OwnDatabase};
use super::process::Process;
use super::{random, wait};

pub struct OwnPostgres {
    pub port: u16,
    binaries: Binaries,
    /// This field is declared before `folder` and therefore dropped first, so the server ends before its folder is
    /// deleted.
    server: Option<Process>,
    folder: TempDir,
}

impl OwnPostgres {
    pub fn start() -> Self {
        let mut server = Self::prepare();
        server.start_again();
        server
    }

    /// Creates the data directory without starting the server.
    pub fn prepare() -> Self {
        let binaries = Binaries::find().unwrap_or_else(|reason| panic!("{reason}"));
        let folder = folder_of_servers();
        let mut initdb = binaries.command("initdb");
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
        run(initdb.arg("--no-sync").arg("-D").arg(folder.path().join("data"))).expect("initdb");
        Self {
            port: free_port(),
            binaries,
            server: None,
            folder,
        }
    }

    /// Requires a password from this role. All other roles still need none. This must be called before the server
    /// starts.
    pub fn require_password_of(&self, role: &str) {
        self.add_rule(&format!("host all {role} 127.0.0.1/32 scram-sha-256"));
    }

    /// Inserts a line at the beginning of `pg_hba.conf`. This must be called before the server starts.
    pub fn add_rule(&self, rule: &str) {
        let rules = self.folder.path().join("data/pg_hba.conf");
        let others = fs::read_to_string(&rules).unwrap();
        fs::write(rules, format!("{rule}\n{others}")).unwrap();
    }

    /// Enables TLS with this certificate and key. This must be called before the server starts.
    pub fn use_certificate(&self, certificate: &Path, key: &Path) {
        let data = self.folder.path().join("data");
        for (file, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let copy = data.join(name);
            fs::copy(file, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                run(Command::new("chown").arg("postgres:").arg(&copy))
                    .expect("a system user `postgres` should exist");
            }
        }
        let mut settings = File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        settings.write_all(b"ssl = on\n").unwrap();
    }

    /// Starts a synchronous standby. From then on, the server acknowledges a commit only after the standby has
    /// written it.
    pub fn synchronous_standby(&self) -> Self {
        let folder = folder_of_servers();
        let primary = format!(
            "host=127.0.0.1 port={} user=postgres application_name=standby",
            self.port
        );
        let mut backup = self.binaries.command("pg_basebackup");
        backup.args(["-d", &primary, "-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        run(backup.arg("-D").arg(folder.path().join("data"))).expect("pg_basebackup");
        let mut standby = Self {
            port: free_port(),
            binaries: Binaries::find().unwrap(),
            server: None,
            folder,
        };
        standby.start_again();
        let mut primary = self.database().connect();
        // These are two calls, because PostgreSQL executes the statements of one call in one transaction, and ALTER
        // SYSTEM cannot run in a transaction.
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        primary.execute("SELECT pg_reload_conf()");
        let synchronous = || {
            let states = primary.values("SELECT sync_state FROM pg_stat_replication");
            (states == [Some("sync".to_owned())]).then_some(())
        };
        wait::until(Duration::from_secs(20), synchronous).expect("the standby should become synchronous");
        standby
    }

    /// Starts the server and waits until it accepts connections. If the server is running, it is killed first. The
    /// port and the data directory stay the same.
    pub fn start_again(&mut self) {
        self.kill();
        let answers = || {
            // After a kill, a child process may still use the data directory for a moment. The new server then
            // exits, and the start must be repeated.
            if self.server.as_mut().is_none_or(|server| server.ended().is_some()) {
                self.server = Some(Process::spawn(self.command()));
            }
            connect(self.port, "postgres").ok().map(drop)
        };
        if wait::until(Duration::from_secs(30), answers).is_none() {
            let said = self.server.as_ref().map(|server| server.output().stderr);
            panic!("the test's PostgreSQL did not start: {said:?}");
        }
    }

    fn command(&self) -> Command {
        let folder = self.folder.path();
        let options = [
            "listen_addresses=127.0.0.1",
            "max_connections=60",
            "shared_buffers=16MB",
            // Tests kill processes but never the machine, so data written without fsync is not lost.
            "fsync=off",
            "full_page_writes=off",
        ];
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        // The kernel kills the server when the test process ends, however it ends.
        command.args(["--pdeathsig", "KILL"]);
        command.arg(self.binaries.path("postgres"));
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
        command.args(["-p", &self.port.to_string()]).current_dir("/");
        for option in options {
            command.args(["-c", option]);
        }
        command
    }

    /// Kills the postmaster, as the kernel does when memory runs out. Its child processes then exit.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Stops the server by SIGQUIT, as `pg_ctl stop -m immediate` does.
    pub fn stop_immediately(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal("-QUIT");
            server
                .wait(Duration::from_secs(10))
                .expect("PostgreSQL should stop");
        }
    }

    pub fn url(&self) -> String {
        format!(
            "postgres://postgres:{DATABASE_PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    pub fn database(&self) -> OwnDatabase {
        OwnDatabase::of_server(self.url(), self.port)
    }
}

/// Creates a folder that belongs to the user who runs the servers.
pub fn folder_of_servers() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(folder.path()))
            .expect("a system user `postgres` should exist");
    }
    folder
}

/// Returns a free port below the range from which the system chooses the ports of outgoing connections, so that no
/// connection takes the port while a killed server starts again.
pub fn free_port() -> u16 {
    let free = || {
        let port = 20_000 + (random::number() % 12_000) as u16;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    };
    wait::until(Duration::from_secs(5), free).expect("a port between 20000 and 31999 should be free")
}
