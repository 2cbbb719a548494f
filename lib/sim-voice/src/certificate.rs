//! The certificate of the voice websocket: made at the start, and trusted by whoever is told of it.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::error::Error;

/// The names that the certificate is for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate for `localhost` and `127.0.0.1`, with its key.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    server: Arc<ServerConfig>,
}

impl Certificate {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// When there is no randomness to be had.
    pub fn generate() -> Result<Self, Error> {
        let failed = |error: &dyn std::error::Error| {
            Error::Invalid(format!("no certificate could be made: {error}"))
        };
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let names: Vec<String> = NAMES.map(str::to_owned).into();
        let certificate = CertificateParams::new(names)
            .and_then(|parameters| parameters.self_signed(&key))
            .map_err(|error| failed(&error))?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_no_client_auth();
        Ok(Self {
            pem: certificate.pem(),
            server: Arc::new(
                server
                    .with_single_cert(chain, secret)
                    .map_err(|error| failed(&error))?,
            ),
        })
    }

    /// The certificate as PEM, without its key: what a client is told to trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What the listener speaks TLS with.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}
