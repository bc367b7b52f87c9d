//! The TLS parameters of a URL.

use std::path::PathBuf;

use super::Parameters;
use super::values::choice;
use crate::config::LibpqDefaults;

/// libpq's `sslmode` without `allow`, which tries plain text first and so protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// libpq's `sslrootcert`: the trusted certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificates {
    System,
    File(PathBuf),
}

/// The PEM files of a client certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug)]
pub struct TlsOptions {
    pub mode: SslMode,
    pub roots: Option<RootCertificates>,
    pub client: Option<ClientCertificate>,
}

impl Parameters {
    pub(super) fn tls_options(&self, defaults: &LibpqDefaults) -> Result<TlsOptions, String> {
        let mode = self.ssl_mode.as_deref().or(defaults.ssl_mode.as_deref());
        let roots = self
            .ssl_root_cert
            .as_deref()
            .or(defaults.ssl_root_cert.as_deref());
        let roots = roots.filter(|roots| !roots.is_empty()).map(|roots| match roots {
            "system" => RootCertificates::System,
            file => RootCertificates::File(file.into()),
        });
        let mode = match mode {
            // libpq has the same rule: anybody can get a certificate of a public authority, so the host name
            // must be verified.
            None if roots == Some(RootCertificates::System) => SslMode::VerifyFull,
            None => SslMode::Prefer,
            Some("allow") => {
                return Err(
                    "has sslmode=allow, which protects nothing: use disable, prefer or require".into(),
                );
            }
            Some(mode) => choice(
                "sslmode",
                mode,
                &[
                    ("disable", SslMode::Disable),
                    ("prefer", SslMode::Prefer),
                    ("require", SslMode::Require),
                    ("verify-ca", SslMode::VerifyCa),
                    ("verify-full", SslMode::VerifyFull),
                ],
            )?,
        };
        if roots == Some(RootCertificates::System) && mode != SslMode::VerifyFull {
            return Err("has sslrootcert=system, which needs sslmode=verify-full".into());
        }
        if mode == SslMode::VerifyCa && roots.is_none() {
            return Err("has sslmode=verify-ca, which needs sslrootcert".into());
        }
        let client = match (&self.ssl_cert, &self.ssl_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ClientCertificate {
                certificate: certificate.into(),
                key: key.into(),
            }),
            _ => return Err("must have both sslcert and sslkey, or neither".into()),
        };
        Ok(TlsOptions {
            // libpq ignores `sslmode` for Unix sockets, but tokio-postgres would fail.
            mode: if self.only_unix_sockets() {
                SslMode::Disable
            } else {
                mode
            },
            roots,
            client,
        })
    }
}
