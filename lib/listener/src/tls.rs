//! TLS from certificate files, which may change while they are used.

#[cfg(test)]
mod tests;

use std::{
    fmt::{self, Display},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use boot::CancellationToken;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{task::spawn_blocking, time};
use tokio_rustls::TlsAcceptor;

use crate::Protocols;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// A certificate with its key, and whose certificates callers must have.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<RwLock<Arc<Loaded>>>,
}

/// Where everything stands.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What stood there.
struct Loaded {
    /// Of the files' contents.
    digest: u64,
    config: ServerConfig,
}

impl Tls {
    /// Reads the files; says what is wrong with which.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not what it should be.
    pub fn read(
        certificate: PathBuf,
        key: PathBuf,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, String> {
        let files = Files {
            certificate,
            key,
            client_ca,
        };
        let loaded = files.load()?;
        Ok(Self {
            files: Arc::new(files),
            current: Arc::new(RwLock::new(Arc::new(loaded))),
        })
    }

    /// What is used for a connection that begins now.
    pub(crate) fn acceptor(&self, protocols: Protocols) -> TlsAcceptor {
        let mut config = self.current().config.clone();
        config.alpn_protocols = match protocols {
            Protocols::Http1 => vec![b"http/1.1".to_vec()],
            Protocols::Http1And2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        TlsAcceptor::from(Arc::new(config))
    }

    /// Looks at the files until the shutdown.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let mut told = None;
        while let Some(()) = shutdown.run_until_cancelled(time::sleep(LOOK)).await {
            let tls = self.clone();
            let looked = spawn_blocking(move || tls.refresh()).await;
            match looked {
                Ok(Ok(true)) => tracing::info!("the certificate of HTTP_ADDRESS has changed"),
                Ok(Ok(false)) => {}
                // What is told once need not be told every time.
                Ok(Err(error)) if told.as_ref() == Some(&error) => continue,
                Ok(Err(error)) => {
                    tracing::error!(
                        error,
                        "new certificate files of HTTP_ADDRESS are of no use; the old ones stay"
                    );
                    told = Some(error);
                    continue;
                }
                Err(_) => return,
            }
            told = None;
        }
    }

    /// Takes over what the files hold; whether it is something new.
    ///
    /// # Errors
    ///
    /// What is wrong with it. What was there before stays.
    pub(crate) fn refresh(&self) -> Result<bool, String> {
        let loaded = self.files.load()?;
        if loaded.digest == self.current().digest {
            return Ok(false);
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(loaded);
        Ok(true)
    }

    fn current(&self) -> Arc<Loaded> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Files {
    fn load(&self) -> Result<Loaded, String> {
        let mut hasher = DefaultHasher::new();
        let mut read = |path: &Path| {
            let bytes = fs::read(path).map_err(|error| about(path, &error))?;
            bytes.hash(&mut hasher);
            Ok::<_, String>(bytes)
        };
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate, &read(&self.certificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| about(&self.key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match &self.client_ca {
            None => config.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path, &read(path)?)? {
                    roots.add(root).map_err(|error| about(path, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                config.with_client_cert_verifier(verifier.map_err(|error| about(path, &error))?)
            }
        };
        let config = config.with_single_cert(chain, key);
        Ok(Loaded {
            config: config.map_err(|error| about(&self.certificate, &error))?,
            digest: hasher.finish(),
        })
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| about(path, &error))?;
    match all.is_empty() {
        false => Ok(all),
        true => Err(about(path, &"there is no certificate in it")),
    }
}

fn about(path: &Path, problem: &dyn Display) -> String {
    format!("cannot be used, because of {}: {problem}", path.display())
}
