//! A PgBouncer for one test. It runs in transaction mode, as the poolers of many hosted PostgreSQL services do.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;

use super::cluster::is_root;
use super::database::DATABASE_PASSWORD;
use super::own_postgres::{folder_of_servers, free_port};
use super::process::Process;
use super::wait;

pub struct PgBouncer {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

/// What the pooler does with prepared statements.
#[derive(Clone, Copy)]
pub enum PreparedStatements {
    /// The pooler gives each statement a name of its own and prepares it on every server connection that needs it.
    Supported,
    /// The pooler passes the messages on unchanged, as versions before 1.21 always do, and newer ones if configured so.
    PassedOn,
}

impl PgBouncer {
    /// Starts a pooler in front of the PostgreSQL server on this port of the loopback interface.
    pub fn before(server_port: u16, prepared_statements: PreparedStatements) -> Self {
        let max_prepared_statements = match prepared_statements {
            PreparedStatements::Supported => 200,
            PreparedStatements::PassedOn => 0,
        };
        let folder = folder_of_servers();
        let port = free_port();
        let ini = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 10\n\
             max_prepared_statements = {max_prepared_statements}\n"
        );
        fs::write(&ini, settings).unwrap();
        let mut process = Process::spawn(command(&ini));
        let listens = || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(ended)
        };
        assert!(
            wait::until(Duration::from_secs(10), listens) == Some(false),
            "PgBouncer did not start: {}",
            process.output().stderr
        );
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// Returns a URL that leads through the pooler to a database of the server.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{DATABASE_PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }
}

fn command(ini: &Path) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    // `scripts/fetch-pgbouncer` unpacks a newer version into this folder, for a machine whose own version is too old.
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let mut folders = vec![env::temp_dir().join(format!("todo-backend-pgbouncer-{uid}"))];
    folders.extend(env::split_paths(&path));
    // Debian installs PgBouncer in this folder, which only root has in PATH.
    folders.push("/usr/sbin".into());
    let program = folders.iter().map(|folder| folder.join("pgbouncer"));
    let program = program.into_iter().find(|program| program.is_file());
    let program = program.unwrap_or_else(|| {
        panic!("These tests need PgBouncer 1.21 or later: `apt-get install pgbouncer`, or scripts/fetch-pgbouncer.")
    });
    let mut command = Command::new("setpriv");
    if is_root() {
        // PgBouncer refuses to run as root.
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(program).arg(ini);
    command.current_dir("/");
    command
}
