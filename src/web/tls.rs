//! The listener's own TLS: certificate and key from files, read again when the configuration is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::Web;
use crate::settings::{self, Settings};

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used for [web]: {reason}; it must be PEM that the daemon's user may read, and key and certificate belong together", file.display())]
pub struct TlsError {
    /// Which file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// Who answers the handshake; none: the listener speaks plain HTTP.
///
/// # Errors
/// The files cannot be read, or do not belong together.
pub fn acceptor(web: &settings::Web) -> Result<Option<TlsAcceptor>, TlsError> {
    let (Some(certificate), Some(key)) = (&web.certificate, &web.key) else { return Ok(None) };
    let failed = |file: &Path, reason: String| TlsError { file: file.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| failed(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// The acceptor of the settings that are in force.
pub(super) struct Tls {
    settings: Arc<Settings>,
    acceptor: Option<TlsAcceptor>,
}

impl Tls {
    /// As the settings are now; the daemon has tried them, so that they can be used.
    pub(super) fn of(web: &Web) -> Tls {
        let settings = (web.files)().settings;
        let acceptor = read(&settings).unwrap_or_default();
        Tls { settings, acceptor }
    }

    /// For the next connection. A reload brings a renewed certificate; one that cannot be used leaves the old in force.
    pub(super) fn current(&mut self, web: &Web) -> Option<TlsAcceptor> {
        let settings = (web.files)().settings;
        if !Arc::ptr_eq(&settings, &self.settings) {
            // Whether the listener speaks TLS at all was settled at the start.
            if self.acceptor.is_some()
                && let Some(Some(renewed)) = read(&settings)
            {
                self.acceptor = Some(renewed);
            }
            self.settings = settings;
        }
        self.acceptor.clone()
    }
}

fn read(settings: &Settings) -> Option<Option<TlsAcceptor>> {
    acceptor(&settings.web).inspect_err(|error| tracing::error!(%error, "the web's certificate stays as it was")).ok()
}
