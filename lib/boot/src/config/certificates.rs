//! What a connection to a server is encrypted with, as three keys say it.

use std::path::PathBuf;

use super::{key::Key, reader::Reader};

/// PEM files for connections that this process makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The roots that are trusted, in place of those of this machine.
    pub roots: Option<PathBuf>,
    /// The certificate that is shown to the server, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// Reads the keys of the roots, of the certificate and of its key; the files are not looked at. Mistakes stay with the
    /// reader.
    pub fn read(reader: &mut Reader, roots: &Key, certificate: &Key, key: &Key) -> Option<Self> {
        let trusted = reader.optional(roots);
        let own = (reader.optional(certificate), reader.optional(key));
        let identity = match own {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                reader.mistake(certificate, format!("needs {} beside it", key.name));
                return None;
            }
            (None, Some(_)) => {
                reader.mistake(key, format!("needs {} beside it", certificate.name));
                return None;
            }
        };
        Some(Self {
            roots: trusted,
            identity,
        })
    }

    /// Whether there are none: the server is to have a certificate that this machine trusts, and none is shown to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: Key = Key::new("X_TLS_CA", "");
    const CERTIFICATE: Key = Key::new("X_TLS_CERT", "");
    const KEY: Key = Key::new("X_TLS_KEY", "");

    fn read(environment: &[(&str, &str)]) -> Result<Certificates, String> {
        let pairs = environment.iter();
        let pairs = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[&[ROOTS, CERTIFICATE, KEY]], pairs, None);
        let read = Certificates::read(&mut reader, &ROOTS, &CERTIFICATE, &KEY);
        reader.finish(read).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_certificate_has_a_key() {
        assert!(read(&[]).unwrap().is_empty());
        let roots = read(&[("X_TLS_CA", "ca.pem")]).unwrap();
        assert!(!roots.is_empty() && roots.identity.is_none());
        let both = read(&[("X_TLS_CERT", "a.pem"), ("X_TLS_KEY", "b.pem")]).unwrap();
        assert_eq!(both.identity, Some(("a.pem".into(), "b.pem".into())));
        for (set, missing) in [("X_TLS_CERT", "X_TLS_KEY"), ("X_TLS_KEY", "X_TLS_CERT")] {
            let mistake = read(&[(set, "a.pem")]).unwrap_err();
            assert!(mistake.starts_with(set), "{mistake}");
            assert!(
                mistake.contains(&format!("needs {missing} beside it")),
                "{mistake}"
            );
        }
    }
}
