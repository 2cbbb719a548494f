//! What an operator can set about the HTTP listener.

use std::net::SocketAddr;

use boot::{Key, Parse, Reader, SecretString, config::Invalid};

const ADDRESS: Key = Key::new(
    "HTTP_ADDRESS",
    "Where libraries find Discord's HTTP API, such as 127.0.0.1:8080. Nowhere when it is not set.",
);
const SECRET: Key = Key::new(
    "HTTP_SECRET",
    "What callers of HTTP_ADDRESS have to say: as the bot token of their library, in the header \
     X-Gateway-Secret, or in the base URL. Beyond this machine it is needed, or HTTP_TLS_CLIENT_CA.",
)
.secret();
const TOKENS: Key = Key::new(
    "HTTP_TOKENS",
    "Whose token Discord sees: with `ignore` the application's, whatever a caller sends; with `own` \
     the caller's, if it sends one.",
)
.with_default("ignore");
/// The keys that [`Config::read`] reads, but for those of every listener.
pub(crate) const KEYS: &[Key] = &[ADDRESS, SECRET, TOKENS];

/// How Discord's HTTP API is served.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What callers have to know.
    pub(super) secret: Option<SecretString>,
    /// Whose token Discord sees.
    pub(super) tokens: Tokens,
    /// How many connections there are, and whether with TLS.
    pub(super) open: listener::Config,
}

impl Config {
    /// Reads [`KEYS`] and [`listener::KEYS`]; `None` when nothing is to be served. Mistakes stay with the reader.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let address = reader.optional(&ADDRESS);
        let secret = reader.optional::<Secret>(&SECRET);
        let tokens = reader.or_default(&TOKENS);
        let certified = reader.is_set(&listener::CLIENT_CA);
        let open = listener::Config::read(reader);
        let address: SocketAddr = address?;
        if !address.ip().is_loopback() && !certified && !reader.is_set(&SECRET) {
            reader.mistake(
                &ADDRESS,
                "is open to other machines, and whoever reaches it could speak for the bot: set HTTP_SECRET, or HTTP_TLS_CERT, \
                 HTTP_TLS_KEY and HTTP_TLS_CLIENT_CA, or take an address of this machine alone, such as 127.0.0.1:8080",
            );
        }
        Some(Self {
            address,
            secret: secret.map(|secret| secret.0),
            tokens: tokens?,
            open: open?,
        })
    }
}

/// Whose token Discord sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tokens {
    /// The application's.
    Ignore,
    /// The caller's, if it has one.
    Own,
}

impl Parse for Tokens {
    fn expected() -> String {
        "`ignore` or `own`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "ignore" => Ok(Self::Ignore),
            "own" => Ok(Self::Own),
            _ => Err(Invalid::new()),
        }
    }
}

/// A secret that can be a token and a segment of a path, and is no application's id.
struct Secret(SecretString);

impl Parse for Secret {
    fn expected() -> String {
        "a word of 16 to 128 letters, digits and any of - . _ ~, with a letter in it".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let lettered = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        match (16..=128).contains(&text.len()) && text.bytes().all(fits) && lettered {
            true => Ok(Self(text.into())),
            false => Err(Invalid::new()),
        }
    }
}

#[cfg(test)]
mod tests;
