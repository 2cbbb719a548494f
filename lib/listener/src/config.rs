//! What an operator can set about every address that is listened at.

use std::path::PathBuf;

use boot::{Key, Reader};

use crate::Tls;

const CONNECTIONS: Key = Key::new(
    "HTTP_CONNECTIONS",
    "How many connections HTTP_ADDRESS has at a time; others wait for one to end.",
)
.with_default("10000");
const CERTIFICATE: Key = Key::new(
    "HTTP_TLS_CERT",
    "A PEM file with the certificate of HTTP_ADDRESS, and those between it and the root. Without it \
     there is no TLS. It and the two below are read again when they change.",
);
const KEY: Key = Key::new("HTTP_TLS_KEY", "A PEM file with the key of HTTP_TLS_CERT.");

/// The key of the certificates that callers must have.
pub const CLIENT_CA: Key = Key::new(
    "HTTP_TLS_CLIENT_CA",
    "A PEM file with the roots of the certificates that callers must have.",
);

/// The keys that [`Config::read`] reads.
pub const KEYS: &[Key] = &[CONNECTIONS, CERTIFICATE, KEY, CLIENT_CA];

/// How an address is served.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many connections there are at a time.
    pub connections: usize,
    /// With TLS, if there is a certificate.
    pub tls: Option<Tls>,
}

impl Config {
    /// Reads [`KEYS`]. Mistakes stay with the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let connections = reader.in_range(&CONNECTIONS, 1..=1_000_000);
        let tls = read_tls(reader);
        Some(Self {
            connections: connections?,
            tls,
        })
    }
}

/// Reads certificate and keys, so that a file that is none is a mistake of the configuration.
fn read_tls(reader: &mut Reader) -> Option<Tls> {
    let certificate = reader.optional::<PathBuf>(&CERTIFICATE);
    let key = reader.optional::<PathBuf>(&KEY);
    let client_ca = reader.optional::<PathBuf>(&CLIENT_CA);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            reader.mistake(&CERTIFICATE, "needs HTTP_TLS_KEY beside it");
            return None;
        }
        (None, Some(_)) => {
            reader.mistake(&KEY, "needs HTTP_TLS_CERT beside it");
            return None;
        }
        (None, None) => {
            if client_ca.is_some() {
                reader.mistake(&CLIENT_CA, "needs HTTP_TLS_CERT and HTTP_TLS_KEY beside it");
            }
            return None;
        }
    };
    let tls = Tls::read(certificate, key, client_ca);
    tls.map_err(|error| reader.mistake(&CERTIFICATE, error))
        .ok()
}

#[cfg(test)]
mod tests {
    use boot::Reader;

    use super::{Config, KEYS};

    fn read(environment: &[(&str, &str)]) -> Result<Config, String> {
        let pairs = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[KEYS], pairs, None);
        let config = Config::read(&mut reader);
        reader.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_no_tls_unless_it_is_asked_for() {
        let config = read(&[]).unwrap();
        assert_eq!(config.connections, 10_000);
        assert!(config.tls.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (key, value, said) in [
            ("HTTP_CONNECTIONS", "0", "out of range"),
            ("HTTP_TLS_CERT", "cert.pem", "HTTP_TLS_KEY"),
            ("HTTP_TLS_KEY", "key.pem", "HTTP_TLS_CERT"),
            ("HTTP_TLS_CLIENT_CA", "ca.pem", "HTTP_TLS_CERT"),
        ] {
            let mistake = read(&[(key, value)]).unwrap_err();
            assert!(mistake.starts_with(key), "{mistake}");
            assert!(mistake.contains(said), "{mistake}");
        }
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for path in [path, "/nowhere.pem"] {
            let tls = [("HTTP_TLS_CERT", path), ("HTTP_TLS_KEY", path)];
            let mistake = read(&tls).unwrap_err();
            assert!(mistake.contains(path), "{mistake}");
        }
    }
}
