//! Which settings are accepted.

use boot::Reader;

use super::{Config, KEYS, Tokens};

fn read(environment: &[(&str, &str)]) -> Result<Option<Config>, String> {
    let pairs = environment
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut reader = Reader::new(&[KEYS, listener::KEYS], pairs, None);
    let config = Config::read(&mut reader);
    reader
        .finish(Some(config))
        .map_err(|error| error.to_string())
}

#[test]
fn nothing_is_served_unless_it_is_asked_for() {
    assert!(read(&[]).unwrap().is_none());
    let config = read(&[("HTTP_ADDRESS", "127.0.0.1:8080")])
        .unwrap()
        .unwrap();
    assert_eq!(config.tokens, Tokens::Ignore);
    assert_eq!(config.open.connections, 10_000);
    assert!(config.secret.is_none() && config.open.tls.is_none());
    assert!(read(&[("HTTP_ADDRESS", "[::1]:8080")]).unwrap().is_some());
}

#[test]
fn strangers_are_kept_out_beyond_this_machine() {
    for address in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
        let mistake = read(&[("HTTP_ADDRESS", address)]).unwrap_err();
        assert!(mistake.starts_with("HTTP_ADDRESS"), "{mistake}");
        assert!(mistake.contains("HTTP_SECRET"), "{mistake}");
        let secret = ("HTTP_SECRET", "0123456789abcdef");
        assert!(
            read(&[("HTTP_ADDRESS", address), secret])
                .unwrap()
                .is_some()
        );
    }
}

#[test]
fn mistakes_are_named_and_show_no_secret() {
    let here = ("HTTP_ADDRESS", "127.0.0.1:0");
    for (key, value, said) in [
        ("HTTP_SECRET", "hunter2", "16 to 128"),
        ("HTTP_SECRET", "1234567890123456789", "16 to 128"),
        ("HTTP_SECRET", "hunter2/hunter2/hunter2", "16 to 128"),
        ("HTTP_TOKENS", "mine", "`ignore` or `own`"),
        ("HTTP_CONNECTIONS", "0", "out of range"),
        ("HTTP_TLS_CERT", "cert.pem", "HTTP_TLS_KEY"),
        ("HTTP_TLS_KEY", "key.pem", "HTTP_TLS_CERT"),
        ("HTTP_TLS_CLIENT_CA", "ca.pem", "HTTP_TLS_CERT"),
        ("HTTP_ADDRESS", "8080", "an address with a port"),
    ] {
        let mistake = read(&[here, (key, value)]).unwrap_err();
        assert!(mistake.starts_with(key), "{mistake}");
        assert!(mistake.contains(said), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
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
