//! What encrypts a connection: whom we trust, and what we show.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// PEM files, which are read for each connection: what has changed holds from the next one on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The roots that are trusted, in place of those of this machine.
    pub roots: Option<PathBuf>,
    /// The certificate that is shown to the broker, with those between it and the root, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Reads the files. It takes a while: roots of the machine are many.
    ///
    /// # Errors
    ///
    /// A file is not there, or not what it should be; or this machine trusts nobody.
    pub fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let roots = match &self.roots {
            Some(path) => own(path)?,
            None => machines()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.identity else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates(certificate)?;
        let key_file = key;
        let key =
            PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, &error))?;
        let config = builder.with_client_auth_cert(chain, key);
        let config = config.map_err(|error| wrong(certificate, &error))?;
        Ok(Arc::new(config))
    }
}

/// The roots in a file.
fn own(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(path, &error))?;
    }
    Ok(roots)
}

/// The roots that this machine trusts.
fn machines() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let errors = found.errors.iter().map(ToString::to_string);
        return Err(io::Error::other(format!(
            "this machine trusts no certificate authority at all ({})",
            errors.collect::<Vec<_>>().join("; ")
        )));
    }
    Ok(roots)
}

/// The certificates in a file, of which there must be one.
fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| wrong(path, &error))?;
    if found.is_empty() {
        return Err(wrong(path, &"there is no certificate in it"));
    }
    Ok(found)
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for path in [empty, folder.path().join("absent.pem")] {
            let name = path.display().to_string();
            let roots = Tls {
                roots: Some(path.clone()),
                identity: None,
            };
            let identity = Tls {
                roots: None,
                identity: Some((path.clone(), path)),
            };
            for tls in [roots, identity] {
                // A machine that trusts nobody says that instead.
                let error = tls.config().unwrap_err().to_string();
                assert!(
                    error.contains(&name) || error.contains("this machine"),
                    "{error}"
                );
            }
        }
    }
}
