//! TLS for the listener, and certificates of callers.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, and whose certificates callers must have.
#[derive(Clone)]
pub(super) struct Tls(Arc<ServerConfig>);

impl Tls {
    /// Reads the files; says what is wrong with which.
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| about(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match client_ca {
            None => config.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path)? {
                    roots.add(root).map_err(|error| about(path, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                config.with_client_cert_verifier(verifier.map_err(|error| about(path, &error))?)
            }
        };
        let config = config.with_single_cert(chain, secret);
        let mut config = config.map_err(|error| about(certificate, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| about(path, &error))?;
    let all: Result<Vec<_>, _> = all.collect();
    let all = all.map_err(|error| about(path, &error))?;
    match all.is_empty() {
        false => Ok(all),
        true => Err(about(path, &"there is no certificate in it")),
    }
}

fn about(path: &Path, problem: &dyn fmt::Display) -> String {
    format!("cannot be used, because of {}: {problem}", path.display())
}
