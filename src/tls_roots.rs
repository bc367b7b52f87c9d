//! The root certificates that this machine trusts: for the database and for the issuer's key set.

use rustls::pki_types::CertificateDer;

/// The system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` say where), or Mozilla's where it has none, as in an
/// image without `ca-certificates`.
pub fn load() -> Vec<CertificateDer<'static>> {
    let system = rustls_native_certs::load_native_certs();
    if system.certs.is_empty() {
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
    }
    system.certs
}
