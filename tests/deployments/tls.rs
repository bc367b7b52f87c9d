//! A PostgreSQL server with TLS and a certificate authority of its own. Each `sslmode` must check what it checks in
//! libpq.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::app::Builder;
use crate::support::own_postgres::OwnPostgres;
use crate::support::{TestApp, wait};

struct Server {
    postgres: OwnPostgres,
    folder: TempDir,
}

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is missing: apt-get install openssl");
    assert!(
        made.status.success(),
        "{arguments}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

impl Server {
    /// Starts a server whose certificate is valid for `localhost` but not for 127.0.0.1. The role `tls` needs
    /// its password and TLS. The role `plain` needs its password and may not use TLS.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for authority in ["ca", "other-ca"] {
            openssl(
                path,
                &format!(
                    "req -x509 {key} -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"
                ),
            );
        }
        openssl(
            path,
            &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
        );
        fs::write(
            path.join("server.ext"),
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        openssl(
            path,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem",
        );
        let mut postgres = OwnPostgres::prepare();
        postgres.use_certificate(&path.join("server.pem"), &path.join("server.key"));
        postgres.add_rule("host all tls 127.0.0.1/32 reject");
        postgres.add_rule("hostssl all tls 127.0.0.1/32 scram-sha-256");
        postgres.add_rule("host all plain 127.0.0.1/32 reject");
        postgres.add_rule("hostnossl all plain 127.0.0.1/32 scram-sha-256");
        postgres.start_again();
        for role in ["tls", "plain"] {
            let create = format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'secret'");
            postgres.database().execute(&create);
        }
        Self { postgres, folder }
    }

    fn authority(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn app(&self, role: &str, host: &str, parameters: &str) -> TestApp {
        let url = format!(
            "postgres://{role}:secret@{host}:{}/postgres?{}",
            self.postgres.port,
            parameters.replace("$FOLDER", self.folder.path().to_str().unwrap())
        );
        Builder::on(Arc::new(self.postgres.database()))
            .env("DATABASE_URL", &url)
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "3000")
            .without_its_database()
            .start()
    }

    fn serves(&self, role: &str, host: &str, parameters: &str) {
        let app = self.app(role, host, parameters);
        let ready = || (app.anonymous().get("/readyz").status == 200).then_some(());
        wait::until(Duration::from_secs(20), ready).unwrap_or_else(|| panic!("{parameters}: {}", app.log()));
        app.user("ada").has_task("stored");
        let encrypted = self.postgres.database().value(&format!(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{role}'",
        ));
        let expected = (role == "tls").to_string();
        assert_eq!(encrypted, Some(expected), "{role} {host} {parameters}");
    }

    fn is_refused(&self, role: &str, host: &str, parameters: &str, reason: &str) {
        let app = self.app(role, host, parameters);
        let says = || app.log().to_lowercase().contains(reason).then_some(());
        wait::until(Duration::from_secs(20), says).unwrap_or_else(|| panic!("{parameters}: {}", app.log()));
        app.anonymous().get("/readyz").assert_unavailable();
        app.user("ada").get("/api/tasks").assert_unavailable();
    }
}

#[test]
fn each_sslmode_checks_the_same_as_in_libpq() {
    skip_at_a_deployment!();
    let server = Server::start();
    assert!(server.authority("ca.pem").is_file());
    for parameters in [
        "",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require&channel_binding=require",
        "sslmode=require&sslrootcert=$FOLDER/ca.pem",
        "sslmode=verify-ca&sslrootcert=$FOLDER/ca.pem",
    ] {
        server.serves("tls", "127.0.0.1", parameters);
    }
    server.serves(
        "tls",
        "localhost",
        "sslmode=verify-full&sslrootcert=$FOLDER/ca.pem&channel_binding=require",
    );

    // The server's certificate is from another authority than `other-ca.pem`. With `sslrootcert`, `require` must check
    // the same as `verify-ca`.
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&sslrootcert=$FOLDER/other-ca.pem");
        server.is_refused("tls", "localhost", &parameters, "certificate");
    }
    // The certificate is valid for `localhost` and not for 127.0.0.1.
    server.is_refused(
        "tls",
        "127.0.0.1",
        "sslmode=verify-full&sslrootcert=$FOLDER/ca.pem",
        "certificate",
    );
    // The server refuses this role without TLS.
    server.is_refused("tls", "127.0.0.1", "sslmode=disable", "pg_hba.conf rejects");
}

#[test]
fn only_sslmode_prefer_connects_without_tls_to_a_server_that_refuses_tls() {
    skip_at_a_deployment!();
    let server = Server::start();
    for parameters in ["", "sslmode=prefer", "sslmode=disable"] {
        server.serves("plain", "127.0.0.1", parameters);
    }
    server.is_refused("plain", "127.0.0.1", "sslmode=require", "pg_hba.conf rejects");
}

#[test]
fn channel_binding_is_required_where_the_url_says_so() {
    skip_at_a_deployment!();
    let mut server = OwnPostgres::prepare();
    server.require_password_of("plain");
    server.start_again();
    server
        .database()
        .execute("CREATE ROLE plain SUPERUSER LOGIN PASSWORD 'secret'");
    for (binding, status) in [("prefer", 200), ("require", 503)] {
        let url = format!(
            "postgres://plain:secret@127.0.0.1:{}/postgres?sslmode=prefer&channel_binding={binding}",
            server.port
        );
        let app = Builder::on(Arc::new(server.database()))
            .env("DATABASE_URL", &url)
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "3000")
            .without_its_database()
            .start();
        crate::resilience::watch::until_ready_is(status, &app);
        app.user("ada").get("/api/tasks").expect(status);
    }
}
