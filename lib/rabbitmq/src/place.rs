//! Where the broker is, and as whom we go there, without the password.

use std::{fmt, net::Ipv6Addr};

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{SHORT_STRING, Tls};

/// How often both sides prove that they are alive, in seconds. A broker that hangs is noticed
/// after twice that time.
const HEARTBEAT: u16 = 10;

/// The largest frame, in bytes. The client keeps a multiple of it as buffers.
const FRAME: u32 = 32 * 1024;

/// A broker's address, and the password where nothing prints it.
#[derive(Clone)]
pub struct Place {
    uri: AMQPUri,
    tls: Tls,
}

impl Place {
    /// Reads `amqp[s]://user:password@host:port/vhost`; says what is wrong without quoting it.
    pub fn parse(url: &SecretString) -> Result<Self, String> {
        let text = url.expose_secret();
        // The parser's own message may quote the URL, and the URL holds the password.
        let mut uri: AMQPUri = text.parse().map_err(|_| {
            "expected amqp://user:password@host:port/vhost or the same with amqps".to_owned()
        })?;
        if let Some(address) = ipv6(text) {
            uri.authority.host = address.to_string();
        }
        let names = [
            ("user name", &uri.authority.userinfo.username),
            ("host name", &uri.authority.host),
            ("virtual host", &uri.vhost),
        ];
        if let Some((what, _)) = names.iter().find(|(_, name)| name.len() > SHORT_STRING) {
            return Err(format!("the {what} is longer than {SHORT_STRING} bytes"));
        }
        if uri.authority.host.is_empty() {
            return Err("the host name is missing".to_owned());
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME);
        Ok(Self {
            uri,
            tls: Tls::default(),
        })
    }

    /// The same place, with these certificates if the connection is encrypted.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// All of it, for the client.
    pub fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.uri.authority.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.uri.authority.port
    }

    /// The user that logs in.
    pub fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// What an encrypted connection is encrypted with.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            host if host.contains(':') => write!(f, "[{host}]:{}", self.port()),
            host => write!(f, "{host}:{}", self.port()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The host when it is written as `[::1]`, which the URI parser takes for no host at all.
fn ipv6(url: &str) -> Option<Ipv6Addr> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, String> {
        Place::parse(&url.to_owned().into())
    }

    #[test]
    fn urls_are_read() {
        for (url, shown, user, vhost) in [
            (
                "amqp://guest:guest@127.0.0.1:5672/%2f",
                "127.0.0.1:5672",
                "guest",
                "/",
            ),
            (
                "amqp://a%40b:p%3aw@rabbit/prod",
                "rabbit:5672",
                "a@b",
                "prod",
            ),
            ("amqps://rabbit", "rabbit:5671", "guest", "/"),
            ("amqp://u:p@[::1]:5673/%2f", "[::1]:5673", "u", "/"),
        ] {
            let place = place(url).unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!((place.user(), place.vhost()), (user, vhost));
        }
        assert!(place("amqps://rabbit").unwrap().is_encrypted());
    }

    #[test]
    fn the_password_is_never_shown() {
        for url in [
            "amqp://user:hunter2@host:5672/%2f",
            "amqp://user:hunter2@host:hunter2/",
            "http://user:hunter2@host/",
            "amqp://user:hunter2@host/?heartbeat=hunter2",
        ] {
            let shown = match place(url) {
                Ok(place) => format!("{place} {place:?}"),
                Err(error) => error,
            };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_the_protocol_cannot_carry_is_refused() {
        let long = "x".repeat(300);
        for url in [
            format!("amqp://{long}:p@host/"),
            format!("amqp://u:p@host/{long}"),
            "redis://host".to_owned(),
            "host:5672".to_owned(),
            String::new(),
        ] {
            assert!(place(&url).is_err(), "{url}");
        }
    }
}
