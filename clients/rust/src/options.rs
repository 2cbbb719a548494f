//! What a consumer takes from the broker, and how.

use std::time::Duration;

use rabbitmq::{Place, SHORT_STRING, Tls};
use secrecy::SecretString;
use wire::routing;

use crate::Error;

/// How a [`Consumer`](crate::Consumer) is set up; all but the URL and the queue has a default.
///
/// ```
/// use discord_gateway_client::Options;
///
/// let options = Options::new("amqp://guest:guest@127.0.0.1:5672/%2f", "music")
///     .bind("*.INTERACTION_CREATE.*.*.command.play")
///     .bind("*.VOICE_STATE_UPDATE.#")
///     .drop_duplicates(10_000);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    url: SecretString,
    tls: Tls,
    pub(crate) prefix: String,
    pub(crate) queue: String,
    pub(crate) bindings: Vec<String>,
    pub(crate) temporary: bool,
    pub(crate) prefetch: u16,
    pub(crate) remembered: usize,
    pub(crate) attempts: u32,
    pub(crate) pause: Duration,
    pub(crate) lanes: usize,
    pub(crate) grace: Duration,
}

impl Options {
    /// A queue on this broker: `amqp[s]://user:password@host:port/vhost`.
    ///
    /// Consumers that name the same queue share its events. Without a [`bind`](Self::bind) the
    /// queue keeps the bindings that it has.
    pub fn new(url: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            tls: Tls::default(),
            prefix: "discord".to_owned(),
            queue: queue.into(),
            bindings: Vec::new(),
            temporary: false,
            prefetch: 200,
            remembered: 0,
            attempts: 5,
            pause: Duration::from_secs(1),
            lanes: 16,
            grace: Duration::from_secs(30),
        }
    }

    /// Whom to trust, and what to show to RabbitMQ, where the URL begins with `amqps`; by default this machine's roots, and
    /// nothing.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// What the names of exchanges begin with; `discord` by default, as in the gateway.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a binding key, `<application>.<event>.<guild>.<channel>`, where `*` stands for one word
    /// and `#` for any number of words. The queue gets what fits any of its keys.
    ///
    /// A binding stays until somebody removes it, even when the program no longer asks for it.
    #[must_use]
    pub fn bind(mut self, key: impl Into<String>) -> Self {
        self.bindings.push(key.into());
        self
    }

    /// Lets RabbitMQ delete the queue when its last consumer is gone, with what it holds. By
    /// default it stays, and keeps events while no consumer is connected.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        self.temporary = true;
        self
    }

    /// How many messages may be here, or on their way, without being settled; 200 by default. A message
    /// is an event, or a batch of them where the operator has chosen that.
    #[must_use]
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.prefetch = messages;
        self
    }

    /// Remembers the ids of this many events that were dealt with, and drops what comes again.
    ///
    /// That an event is never lost means that it may come twice, soon after one another, with one
    /// id. What this process remembers, another one does not, nor this one after a restart: work
    /// that must not be done twice needs the ids beside its results.
    #[must_use]
    pub fn drop_duplicates(mut self, remembered: usize) -> Self {
        self.remembered = remembered;
        self
    }

    /// How often [`Consumer::run`](crate::Consumer::run) hands an event to a handler that fails,
    /// before the event goes to the dead-letter exchange; 5 by default. The first pause between two
    /// attempts lies between `pause`, 1 s by default, and twice that; the limits of each further one are
    /// twice as high, up to 30 s.
    #[must_use]
    pub fn attempts(mut self, attempts: u32, pause: Duration) -> Self {
        self.attempts = attempts;
        self.pause = pause;
        self
    }

    /// How many events [`Consumer::run`](crate::Consumer::run) handles at once; 16 by default.
    /// Events of one guild are handled one after the other, in their order.
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.lanes = handlers;
        self
    }

    /// How long [`Consumer::run`](crate::Consumer::run) waits for its handlers when it is told to
    /// stop; 30 s by default. Events whose handlers are cut off go back to the queue.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Checks the options; returns where the broker is.
    pub(crate) fn check(&self) -> Result<Place, Error> {
        let place = place(&self.url, &self.tls)?;
        let exchange = routing::exchange(&self.prefix, routing::DEAD_LETTER);
        let mut names = [&self.queue, &exchange].into_iter().chain(&self.bindings);
        let mistake = if self.queue.is_empty() {
            "the queue needs a name".to_owned()
        } else if let Some(name) = names.find(|name| name.len() > SHORT_STRING) {
            format!("{name:?} is longer than the {SHORT_STRING} bytes that AMQP allows")
        } else if self.prefetch == 0 {
            "a prefetch of 0 means no limit in AMQP: it has to be at least 1".to_owned()
        } else if self.lanes == 0 {
            "at least one event has to be handled at once".to_owned()
        } else if self.attempts == 0 {
            "an event needs at least one attempt".to_owned()
        } else {
            return Ok(place);
        };
        Err(Error::Option(mistake))
    }
}

/// Where the broker is, if the URL and the certificates can be used. It reads the files.
pub(crate) fn place(url: &SecretString, tls: &Tls) -> Result<Place, Error> {
    let place = Place::parse(url).map_err(Error::Url)?;
    if *tls == Tls::default() {
        return Ok(place);
    }
    if !place.is_encrypted() {
        let mistake = "certificates need one that begins with amqps://";
        return Err(Error::Url(mistake.to_owned()));
    }
    tls.config()
        .map_err(|error| Error::Option(error.to_string()))?;
    Ok(place.with_tls(tls.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "amqp://user:hunter2@host:5672/%2f";

    #[test]
    fn what_amqp_cannot_do_is_refused() {
        let good = || Options::new(URL, "queue");
        assert!(good().check().is_ok());
        for bad in [
            Options::new(URL, ""),
            Options::new(URL, "x".repeat(256)),
            Options::new("http://host", "queue"),
            good().bind("x".repeat(256)),
            good().prefix("x".repeat(250)),
            good().prefetch(0),
            good().concurrency(0),
            good().attempts(0, Duration::ZERO),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_refused() {
        let tls = Tls {
            roots: Some("/nowhere/ca.pem".into()),
            identity: None,
        };
        let encrypted = Options::new("amqps://user:hunter2@host", "queue").tls(tls.clone());
        let error = encrypted.check().unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        let plain = Options::new(URL, "queue").tls(tls).check();
        assert!(matches!(plain, Err(Error::Url(_))), "{plain:?}");
    }

    #[test]
    fn the_password_is_never_shown() {
        assert!(!format!("{:?}", Options::new(URL, "queue")).contains("hunter2"));
    }
}
