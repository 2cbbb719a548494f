//! Which broker, where, and how much may wait for it.

use std::path::PathBuf;

use boot::{
    Key, Parse, Reader, SecretString, Size,
    config::{Certificates, Invalid},
};
use rabbitmq::{Place, SHORT_STRING, Tls};

use crate::Exchange;

const AMQP_URL: Key = Key::new(
    "AMQP_URL",
    "The broker: amqp[s]://user:password@host:port/vhost (the default vhost is %2f)",
)
.with_default("amqp://guest:guest@127.0.0.1:5672/%2f")
.secret();

const AMQP_PREFIX: Key = Key::new(
    "AMQP_PREFIX",
    "What the names of exchanges and queues begin with",
)
.with_default("discord");

const AMQP_PERSISTENT: Key = Key::new(
    "AMQP_PERSISTENT",
    "Whether events in durable queues survive a restart of the broker",
)
.with_default("true");

const AMQP_TLS_CA: Key = Key::new(
    "AMQP_TLS_CA",
    "A PEM file with the roots that the broker's certificate may have, in place of this machine's. It and the two below are read \
     for each connection",
);

const AMQP_TLS_CERT: Key = Key::new(
    "AMQP_TLS_CERT",
    "A PEM file with the certificate that is shown to the broker. With ?auth_mechanism=external at the end of AMQP_URL it is the login",
);

const AMQP_TLS_KEY: Key = Key::new("AMQP_TLS_KEY", "A PEM file with the key of AMQP_TLS_CERT");

const AMQP_WINDOW: Key = Key::new(
    "AMQP_WINDOW",
    "How much memory unconfirmed messages may take before reading from Discord pauses",
)
.with_default("8MiB");

const BROKER_TYPE: Key = Key::new(
    "BROKER_TYPE",
    "amqp, or stdio: one JSON object per line on stdout, requests on stdin",
)
.with_default("amqp");

/// The keys that [`Config::read`] reads.
pub const KEYS: &[Key] = &[
    AMQP_PERSISTENT,
    AMQP_PREFIX,
    AMQP_TLS_CA,
    AMQP_TLS_CERT,
    AMQP_TLS_KEY,
    AMQP_URL,
    AMQP_WINDOW,
    BROKER_TYPE,
];

const SMALLEST_WINDOW: Size = Size(64 * 1024);
const LARGEST_WINDOW: Size = Size(64 * 1024 * 1024 * 1024);

/// Room that the prefix leaves for what follows it in the names of queues.
const LONGEST_PREFIX: usize = SHORT_STRING - 100;

/// The kind of broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RabbitMQ, or whatever else speaks AMQP 0-9-1 with confirms.
    Amqp,
    /// This process' own stdout and stdin.
    Stdio,
}

impl Parse for Kind {
    fn expected() -> String {
        "amqp or stdio".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "amqp" => Ok(Self::Amqp),
            "stdio" => Ok(Self::Stdio),
            _ => Err(Invalid::new()),
        }
    }
}

/// How messages leave the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kind of broker.
    pub kind: Kind,
    /// Where RabbitMQ is, with user and password.
    pub url: SecretString,
    /// What an encrypted connection is encrypted with.
    pub tls: Tls,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
    /// About how many bytes of memory unconfirmed messages may take.
    pub window: usize,
    /// Whether messages survive a restart of the broker where their queue does.
    pub persistent: bool,
    /// Where messages wait when the window is full; `None` keeps them in the window alone.
    pub spool: Option<Spool>,
}

/// A folder on disk where messages wait for the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// The folder, of this process alone.
    pub dir: PathBuf,
    /// How many bytes it may hold.
    pub limit: u64,
}

impl Config {
    /// Reads [`KEYS`]; mistakes stay with the reader. The spool is the service's own decision.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let kind = reader.or_default(&BROKER_TYPE);
        let url = read_url(reader);
        let tls = read_tls(reader, url.as_ref());
        let prefix = read_prefix(reader);
        let window = reader.in_range(&AMQP_WINDOW, SMALLEST_WINDOW..=LARGEST_WINDOW);
        let persistent = reader.or_default(&AMQP_PERSISTENT);
        Some(Self {
            kind: kind?,
            url: url?,
            tls: tls?,
            prefix: prefix?,
            window: window?.bytes(),
            persistent: persistent?,
            spool: None,
        })
    }

    /// The same for a service that works with RabbitMQ alone, for this reason.
    pub fn read_amqp(reader: &mut Reader, why: &str) -> Option<Self> {
        let config = Self::read(reader)?;
        if config.kind == Kind::Stdio {
            reader.mistake(&BROKER_TYPE, format!("has to be `amqp`: {why}"));
            return None;
        }
        Some(config)
    }
}

fn read_url(reader: &mut Reader) -> Option<SecretString> {
    let url: SecretString = reader.or_default(&AMQP_URL)?;
    match Place::parse(&url) {
        Ok(_) => Some(url),
        Err(error) => {
            reader.mistake(&AMQP_URL, error);
            None
        }
    }
}

fn read_tls(reader: &mut Reader, url: Option<&SecretString>) -> Option<Tls> {
    let keys = [&AMQP_TLS_CA, &AMQP_TLS_CERT, &AMQP_TLS_KEY];
    let files = Certificates::read(reader, keys[0], keys[1], keys[2])?;
    if files.is_empty() {
        return Some(Tls::default());
    }
    let set = keys.into_iter().find(|key| reader.is_set(key))?;
    if !Place::parse(url?).is_ok_and(|place| place.is_encrypted()) {
        reader.mistake(set, "needs an AMQP_URL that begins with amqps://");
        return None;
    }
    let tls = Tls {
        roots: files.roots,
        identity: files.identity,
    };
    match tls.config() {
        Ok(_) => Some(tls),
        Err(error) => {
            reader.mistake(set, error);
            None
        }
    }
}

fn read_prefix(reader: &mut Reader) -> Option<String> {
    let prefix: String = reader.or_default(&AMQP_PREFIX)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    let mistake = if prefix.is_empty() || prefix.len() > LONGEST_PREFIX {
        format!("expected 1 to {LONGEST_PREFIX} characters")
    } else if !prefix.chars().all(allowed) {
        "expected letters, digits and any of - _ . : only".to_owned()
    } else if prefix == "amq" || prefix.starts_with("amq.") {
        format!(
            "RabbitMQ keeps names such as {} for itself",
            Exchange::Events.name(&prefix)
        )
    } else {
        return Some(prefix);
    };
    reader.mistake(&AMQP_PREFIX, mistake);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<Config, String> {
        let pairs = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[KEYS], pairs, None);
        let config = Config::read(&mut reader);
        reader
            .finish(config)
            .map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.kind, Kind::Amqp);
        assert_eq!(config.prefix, "discord");
        assert_eq!(config.window, 8 * 1024 * 1024);
        assert!(config.persistent);
    }

    #[test]
    fn mistakes_are_named_and_the_password_is_not() {
        for (key, value) in [
            ("AMQP_URL", "http://user:hunter2@host/"),
            ("AMQP_URL", "hunter2"),
            ("AMQP_PREFIX", "amq.x"),
            ("AMQP_TLS_CA", "/nowhere.pem"),
            ("AMQP_TLS_CERT", "/nowhere.pem"),
            ("AMQP_TLS_KEY", "/nowhere.pem"),
            ("AMQP_PREFIX", "a b"),
            ("AMQP_PREFIX", &"x".repeat(200)),
            ("AMQP_WINDOW", "1KiB"),
            ("AMQP_WINDOW", "lots"),
            ("AMQP_PERSISTENT", "maybe"),
            ("BROKER_TYPE", "kafka"),
        ] {
            let mistakes = read(&[(key, value)]).unwrap_err();
            assert!(mistakes.contains(key), "{mistakes}");
            assert!(!mistakes.contains("hunter2"), "{mistakes}");
        }
    }

    #[test]
    fn certificates_need_encryption_and_are_read() {
        let (ca, plain) = (("AMQP_TLS_CA", "/nowhere.pem"), ("AMQP_URL", "amqp://host"));
        let mistake = read(&[ca, plain]).unwrap_err();
        assert!(mistake.contains("amqps://"), "{mistake}");
        let mistake = read(&[ca, ("AMQP_URL", "amqps://host")]).unwrap_err();
        assert!(mistake.contains("/nowhere.pem: "), "{mistake}");
        assert!(read(&[plain]).unwrap().tls.identity.is_none());
    }

    #[test]
    fn debug_output_hides_the_password() {
        let config = read(&[("AMQP_URL", "amqp://user:hunter2@host/")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
