//! Parses the TLS parameters of a URL.

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{Parameters, invalid_value};

/// The values of libpq's `sslmode`, except `allow`, which tries an unencrypted connection first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Clone, Debug)]
pub struct TlsOptions {
    pub mode: SslMode,
    /// The trusted certificate authorities: `system`, or a PEM file.
    pub roots: Option<String>,
    /// The PEM files of a client certificate and its private key.
    pub client: Option<(String, String)>,
}

impl TlsOptions {
    /// Removes the TLS parameters from `parameters` and parses them, because `tokio-postgres` does not support them.
    pub(super) fn take_from(parameters: &mut Parameters) -> Result<Self, String> {
        let (mode, roots) = (parameters.remove("sslmode"), parameters.remove("sslrootcert"));
        let roots = roots.filter(|roots| !roots.is_empty());
        let is_system = roots.as_deref() == Some("system");
        let client = match (parameters.remove("sslcert"), parameters.remove("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err("must have both sslcert and sslkey, or neither".into()),
        };
        let mode = match mode {
            // libpq has the same rule. Public authorities issue certificates to anybody, so the host name in the
            // certificate must be verified.
            None if is_system => SslMode::VerifyFull,
            None => SslMode::Prefer,
            Some(mode) => mode.parse().map_err(|_| {
                let names = SslMode::VARIANTS.join(", ");
                format!("{}: it must be one of {names}", invalid_value("sslmode"))
            })?,
        };
        if is_system && mode != SslMode::VerifyFull {
            return Err(
                "has sslrootcert=system (or PGSSLROOTCERT), which needs sslmode=verify-full (or PGSSLMODE)"
                    .into(),
            );
        }
        if mode == SslMode::VerifyCa && roots.is_none() {
            return Err(
                "has sslmode=verify-ca (or PGSSLMODE), which needs sslrootcert (or PGSSLROOTCERT)".into(),
            );
        }
        Ok(Self { mode, roots, client })
    }
}
