//! The service fetches an issuer's key set over HTTPS only if it trusts the issuer's certificate.

use std::fs;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::support::process::Process;
use crate::support::token::{base64url, now};
use crate::support::wait;
use crate::support::{Database, Postgres, Sqlite, TestApp};

/// A Node.js server that answers every request with the key set and prints its port.
const SERVER: &str = r#"
    const [folder, keys] = process.argv.slice(1);
    const read = (name) => require("fs").readFileSync(`${folder}/${name}`);
    const server = require("https").createServer({ key: read("key.pem"), cert: read("cert.pem") }, (_, answer) => {
        answer.setHeader("Content-Type", "application/json");
        answer.end(keys);
    });
    server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
"#;

struct Issuer {
    _process: Process,
    folder: TempDir,
    url: String,
    key: Ed25519KeyPair,
}

impl Issuer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args([
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            // rustls does not accept a CA certificate as a server certificate.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .current_dir(&folder)
            .output()
            .expect("openssl is missing: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let key = Ed25519KeyPair::generate().unwrap();
        let x = base64url(key.public_key().as_ref());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k", "x": x}]});
        let process = Process::spawn(Command::new("node").args([
            "-e",
            SERVER,
            folder.path().to_str().unwrap(),
            &keys.to_string(),
        ]));
        let port = wait::until(Duration::from_secs(20), || {
            let said = process.output();
            Some(said.stdout.trim().strip_prefix("port ")?.to_owned())
        });
        let port = port.unwrap_or_else(|| panic!("{}", process.output().stderr));
        let url = format!("https://localhost:{port}");
        Self {
            _process: process,
            folder,
            url,
            key,
        }
    }

    fn token(&self, user: &str) -> String {
        let claims = json!({
            "sub": user, "iat": now(), "exp": now() + 60, "iss": self.url, "aud": self.url,
        });
        let header = json!({"alg": "EdDSA", "kid": "k"});
        let message = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", base64url(signature.as_ref()))
    }
}

#[rstest]
fn a_key_set_behind_tls_is_fetched_where_its_certificate_is_trusted(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    let issuer = Issuer::start();
    let certificate = issuer.folder.path().join("cert.pem");
    assert!(fs::metadata(&certificate).unwrap().len() > 0);
    for (trusted, status) in [(true, 200), (false, 503)] {
        let mut builder = TestApp::builder(db).env("BETTER_AUTH_URL", &issuer.url);
        if trusted {
            builder = builder.env("SSL_CERT_FILE", certificate.to_str().unwrap());
        }
        let app = builder.start();
        let ada = app.user("ada");
        let answer = ada.with_token(&issuer.token(&ada.id)).get("/api/tasks");
        assert_eq!(answer.status, status, "{answer}\n{}", app.log());
    }
}
