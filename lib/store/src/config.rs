//! Where the state is kept.

use std::path::PathBuf;

use boot::{
    ExposeSecret, Key, Parse, Reader, SecretString,
    config::{Certificates, Invalid},
};

use crate::{Pace, redis::client};

const REDIS_URL: Key = Key::new(
    "REDIS_URL",
    "Redis or Valkey, where the state is that replicas share and that outlives them: \
     redis[s]://user:password@host:port/database",
)
.secret();

const REDIS_PREFIX: Key =
    Key::new("REDIS_PREFIX", "What the keys in Redis begin with").with_default("discord");

const REDIS_TLS_CA: Key = Key::new(
    "REDIS_TLS_CA",
    "A PEM file with the roots that the certificate of REDIS_URL may have, in place of this machine's. It and the two below are \
     read for each connection",
);

const REDIS_TLS_CERT: Key = Key::new(
    "REDIS_TLS_CERT",
    "A PEM file with the certificate that is shown to Redis",
);

const REDIS_TLS_KEY: Key = Key::new("REDIS_TLS_KEY", "A PEM file with the key of REDIS_TLS_CERT");

/// The keys that [`Config::read`] reads.
pub const KEYS: &[Key] = &[
    REDIS_URL,
    REDIS_PREFIX,
    REDIS_TLS_CA,
    REDIS_TLS_CERT,
    REDIS_TLS_KEY,
];

/// The longest prefix: keys are kept in memory and sent again and again.
const LONGEST_PREFIX: usize = 100;

/// Where to keep the state.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the memory of this process, and in a file of this machine.
    File(PathBuf),
    /// In the memory of this process: a restart forgets it.
    Memory,
    /// In Redis or Valkey.
    Redis(SecretString),
}

/// Which store, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the state is kept.
    pub place: Place,
    /// What an encrypted connection to Redis is encrypted with.
    pub tls: Certificates,
    /// What the keys in Redis begin with.
    pub prefix: String,
    /// How Discord counts identifies.
    pub pace: Pace,
}

impl Config {
    /// Reads [`KEYS`]; mistakes stay with the reader. The file is where the state goes without
    /// Redis.
    pub fn read(reader: &mut Reader, file: Option<PathBuf>) -> Option<Self> {
        let url = reader.optional::<Url>(&REDIS_URL);
        let prefix = read_prefix(reader);
        let tls = read_tls(reader, url.as_ref());
        let place = match (url, file) {
            (Some(_), Some(_)) => {
                let mistake = "is set as well as WS_SESSION_FILE; set only one";
                reader.mistake(&REDIS_URL, mistake);
                return None;
            }
            (Some(url), None) => Place::Redis(url.0),
            (None, Some(path)) => Place::File(path),
            (None, None) => Place::Memory,
        };
        Some(Self {
            place,
            tls: tls?,
            prefix: prefix?,
            pace: Pace::default(),
        })
    }
}

fn read_tls(reader: &mut Reader, url: Option<&Url>) -> Option<Certificates> {
    let keys = [&REDIS_TLS_CA, &REDIS_TLS_CERT, &REDIS_TLS_KEY];
    let files = Certificates::read(reader, keys[0], keys[1], keys[2])?;
    let Some(set) = keys.into_iter().find(|key| reader.is_set(key)) else {
        return Some(files);
    };
    let Some(Url(url)) = url else {
        reader.mistake(set, "needs REDIS_URL beside it");
        return None;
    };
    match client(url, &files) {
        Ok(_) => Some(files),
        Err(error) => {
            reader.mistake(set, error);
            None
        }
    }
}

fn read_prefix(reader: &mut Reader) -> Option<String> {
    let prefix: String = reader.or_default(&REDIS_PREFIX)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    let mistake = if prefix.is_empty() || prefix.len() > LONGEST_PREFIX {
        format!("expected 1 to {LONGEST_PREFIX} characters")
    } else if !prefix.chars().all(allowed) {
        "expected letters, digits and any of - _ . : only".to_owned()
    } else {
        return Some(prefix);
    };
    reader.mistake(&REDIS_PREFIX, mistake);
    None
}

/// The URL of a Redis server.
struct Url(SecretString);

impl Parse for Url {
    fn expected() -> String {
        "a Redis URL, for example redis://user:password@localhost:6379/0, or rediss:// for TLS"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let secret = SecretString::from(text);
        redis::Client::open(secret.expose_secret()).map_err(|_| Invalid::new())?;
        Ok(Self(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
        let pairs = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[KEYS], pairs, None);
        let config = Config::read(&mut reader, file.map(PathBuf::from));
        reader.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_place_is_the_one_that_is_set() {
        let config = read(&[], None).unwrap();
        assert!(matches!(config.place, Place::Memory));
        assert_eq!(config.prefix, "discord");
        assert_eq!(config.pace, Pace::default());
        let config = read(&[], Some("state.json")).unwrap();
        assert!(matches!(config.place, Place::File(path) if path.ends_with("state.json")));
        for url in [
            "redis://localhost",
            "redis://:pw@localhost:6380/3",
            "rediss://user:pw@redis.example",
            "unix:///run/redis.sock",
        ] {
            let config = read(&[("REDIS_URL", url), ("REDIS_PREFIX", "my.bot")], None).unwrap();
            assert!(matches!(config.place, Place::Redis(_)), "{url}");
            assert_eq!(config.prefix, "my.bot");
        }
    }

    #[test]
    fn mistakes_are_named_and_show_no_password() {
        for (key, value, said) in [
            ("REDIS_URL", "http://:hunter2@localhost", "a Redis URL"),
            ("REDIS_URL", "hunter2", "a Redis URL"),
            ("REDIS_TLS_CA", "/nowhere.pem", "needs REDIS_URL"),
            ("REDIS_TLS_CERT", "a.pem", "needs REDIS_TLS_KEY"),
            ("REDIS_PREFIX", "a{b}", "letters, digits"),
            ("REDIS_PREFIX", &"a".repeat(101), "1 to 100"),
        ] {
            let mistake = read(&[(key, value)], None).unwrap_err();
            assert!(mistake.starts_with(key), "{mistake}");
            assert!(mistake.contains(said), "{mistake}");
            assert!(!mistake.contains("hunter2"), "{mistake}");
        }
        for (url, said) in [
            ("redis://:hunter2@localhost", "rediss://"),
            ("rediss://:hunter2@localhost", "/nowhere.pem: "),
        ] {
            let files = [
                ("REDIS_TLS_CA", "/dev/null"),
                ("REDIS_TLS_CA", "/nowhere.pem"),
            ];
            let file = files[usize::from(url.starts_with("rediss"))];
            let mistake = read(&[("REDIS_URL", url), file], None).unwrap_err();
            assert!(mistake.starts_with("REDIS_TLS_CA"), "{mistake}");
            assert!(mistake.contains(said), "{mistake}");
            assert!(!mistake.contains("hunter2"), "{mistake}");
        }
        let mistake = read(&[("REDIS_URL", "redis://localhost")], Some("f")).unwrap_err();
        assert!(mistake.contains("WS_SESSION_FILE"), "{mistake}");
    }
}
