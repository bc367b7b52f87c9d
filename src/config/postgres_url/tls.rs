//! Configures TLS. `sslmode` and `sslrootcert` determine how the server's certificate is verified.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls_options::{SslMode, TlsOptions};
use crate::tls_roots;

pub(super) fn new_connector(options: &TlsOptions) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(new_verifier(options, provider)?);
    let config = match &options.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let private_key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("sslkey {key} cannot be used: {error}"))?;
            builder
                .with_client_auth_cert(load_certificates("sslcert", certificate)?, private_key)
                .map_err(|error| format!("sslcert and sslkey cannot be used: {error}"))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn new_verifier(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let roots = match options.roots.as_deref() {
        Some("system") => Some(new_root_store(tls_roots::load())?),
        Some(file) => Some(new_root_store(load_certificates("sslrootcert", file)?)?),
        // libpq would read `~/.postgresql/root.crt`. Containers do not have that file, so the system's root
        // certificates are used.
        None if options.mode == SslMode::VerifyFull => Some(new_root_store(tls_roots::load())?),
        None => None,
    };
    Ok(match (options.mode, roots) {
        (SslMode::VerifyFull, Some(roots)) => {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| error.to_string())?
        }
        // As in libpq, `require` with a root certificate means the same as `verify-ca`.
        (_, roots) => Arc::new(NoHostNameVerifier { roots, provider }),
    })
}

/// Loads the certificates from a file. `name` is the parameter or the variable that names the file.
pub fn load_certificates(name: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{name} {file}: {error}");
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?;
    let certificates: Vec<_> = certificates
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))?;
    if certificates.is_empty() {
        return Err(failed(&"the file contains no certificate"));
    }
    Ok(certificates)
}

fn new_root_store(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    match added {
        0 => Err("none of the root certificates is valid".into()),
        _ => Ok(store),
    }
}

/// A verifier for all modes except `verify-full`. It verifies the certificate chain if there are root certificates.
/// It does not verify the host name.
#[derive(Debug)]
struct NoHostNameVerifier {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoHostNameVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
