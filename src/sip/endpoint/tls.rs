//! TLS: our certificate as a server, whom we trust as a client.

use std::sync::Arc;

use super::SipError;
use crate::settings::Settings;

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn tls_server(settings: &Settings) -> Result<Arc<rustls::ServerConfig>, SipError> {
    use rustls::pki_types::pem::PemObject;
    let file = |path: &Option<std::path::PathBuf>, what: &str| {
        path.clone().ok_or(SipError::Certificate { file: format!("[sip] {what}"), reason: "not set".to_owned() })
    };
    let (certificate, key) = (file(&settings.sip.certificate, "certificate")?, file(&settings.sip.key, "key")?);
    let failed =
        |path: &std::path::Path, reason: String| SipError::Certificate { file: path.display().to_string(), reason };
    let chain = rustls::pki_types::CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&certificate, error.to_string()))?;
    let private =
        rustls::pki_types::PrivateKeyDer::from_pem_file(&key).map_err(|error| failed(&key, error.to_string()))?;
    rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map(Arc::new)
        .map_err(|error| failed(&certificate, error.to_string()))
}

pub(super) fn tls_client(settings: &Settings) -> Result<rustls::ClientConfig, SipError> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    // Some of the system's certificates may be odd; the good ones serve.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = &settings.sip.ca {
        let failed = |reason: String| SipError::Certificate { file: ca.display().to_string(), reason };
        let certificates = rustls::pki_types::CertificateDer::pem_file_iter(ca)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(error.to_string()))?;
        for certificate in certificates {
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| SipError::Certificate { file: "TLS".to_owned(), reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
