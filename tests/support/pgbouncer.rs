//! A PgBouncer of one test's own, in transaction mode: what stands before many a hosted PostgreSQL.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;

use super::database::DATABASE_PASSWORD;
use super::own_postgres::{folder_of_servers, free_port};
use super::postgres::is_root;
use super::process::Process;
use super::wait;

pub struct PgBouncer {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl PgBouncer {
    /// Before the PostgreSQL at this port of the loopback.
    pub fn before(server_port: u16) -> Self {
        let folder = folder_of_servers();
        let port = free_port();
        let ini = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 10\n"
        );
        fs::write(&ini, settings).unwrap();
        let mut process = Process::spawn(command(&ini));
        let listens = || {
            let ended = process.ended().is_some();
            (ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(ended)
        };
        if wait::until(Duration::from_secs(10), listens) != Some(false) {
            panic!("PgBouncer does not start: {}", process.said().stderr);
        }
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// The way through it to a database of that server.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{DATABASE_PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }
}

fn command(ini: &Path) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root's PATH leads.
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let program = folders.iter().map(|folder| folder.join("pgbouncer"));
    let program = program.into_iter().find(|program| program.is_file());
    let program = program.unwrap_or_else(|| {
        panic!("These tests need PgBouncer; install it with `apt-get install pgbouncer`.")
    });
    let mut command = Command::new("setpriv");
    if is_root() {
        // It refuses to run as root.
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(program).arg(ini);
    command.current_dir("/");
    command
}
