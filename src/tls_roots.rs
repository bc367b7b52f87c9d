//! The root certificates for connections to the database and to the issuer's key set.

use rustls::pki_types::CertificateDer;

/// Loads the system's root certificates, or Mozilla's if the system has none, as in a container image without
/// `ca-certificates`. `SSL_CERT_FILE` and `SSL_CERT_DIR` override the location of the system's certificates.
pub fn load() -> Vec<CertificateDer<'static>> {
    let system = rustls_native_certs::load_native_certs();
    if system.certs.is_empty() {
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
    }
    system.certs
}
