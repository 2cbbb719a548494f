//! Why there is no working connection, in words that a person can act on.

use std::{fmt, mem::Discriminant, mem::discriminant, time::Duration};

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use crate::Place;

/// Why a connection failed. Two reasons are of one kind when the same remedy helps.
#[derive(Debug)]
pub enum Down {
    /// The broker does not let this user do something.
    Forbidden(String),
    /// An exchange or a queue was there and is not any more.
    Gone(String),
    /// The broker wants no connection of this user to this virtual host.
    Login(String),
    /// The connection was there and broke.
    Lost(String),
    /// The broker did not accept a message.
    Nacked,
    /// An exchange or a queue exists with other properties.
    Topology(String),
    /// Something took too long.
    TimedOut(&'static str, Duration),
    /// A message is larger than the broker allows: this many bytes.
    TooLarge(usize),
    /// Nothing answers there, or it does not speak AMQP.
    Unreachable(String),
    /// The virtual host is not there, or closed to this user.
    Vhost(String),
}

/// At which point an error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// While connecting and logging in.
    Connect,
    /// While declaring exchanges and queues.
    Declare,
    /// Afterwards.
    Run,
}

impl Down {
    /// What an error of the client means at this stage.
    pub fn from_error(error: &lapin::Error, stage: Stage) -> Self {
        let ErrorKind::ProtocolError(refusal) = error.kind() else {
            let text = plain(error);
            return match stage {
                Stage::Connect => Self::Unreachable(text),
                Stage::Declare | Stage::Run => Self::Lost(text),
            };
        };
        Self::refused(refusal.get_id(), refusal.get_message().as_str(), stage)
    }

    /// What a reply code of the broker and its text mean at this stage.
    pub fn refused(code: u16, text: &str, stage: Stage) -> Self {
        if let Some(limit) = size_limit(text) {
            return Self::TooLarge(limit);
        }
        let text = text.to_owned();
        match (AMQPErrorKind::from_id(code), stage) {
            (Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)), _) => Self::Vhost(text),
            (Some(AMQPErrorKind::Soft(error)), stage) => match (error, stage) {
                (AMQPSoftError::ACCESSREFUSED, Stage::Connect) => Self::Login(text),
                (AMQPSoftError::ACCESSREFUSED, _) => Self::Forbidden(text),
                (AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED, _)
                | (AMQPSoftError::NOTFOUND, Stage::Declare) => Self::Topology(text),
                (AMQPSoftError::NOTFOUND, Stage::Run) => Self::Gone(text),
                _ => Self::Lost(text),
            },
            _ => Self::Lost(text),
        }
    }

    /// Equal for reasons of one kind.
    pub fn kind(&self) -> Discriminant<Self> {
        discriminant(self)
    }

    /// What happened, where, and what to do.
    pub fn explain(&self, place: &Place) -> String {
        let (user, vhost) = (place.user(), place.vhost());
        match self {
            Self::Forbidden(text) => format!(
                "RabbitMQ at {place} does not let the user `{user}` do what is needed: {text}. \
                 Give it permissions, for example: \
                 rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'"
            ),
            Self::Gone(text) => format!(
                "somebody has deleted at RabbitMQ at {place} what was in use: {text}. What the \
                 gateway needs is declared again, but an exchange's bindings went with it: restart \
                 the workers, so that they bind their queues again"
            ),
            Self::Login(text) => format!(
                "RabbitMQ at {place} refused the login of the user `{user}`: {text}. \
                 Check the user name and the password in the broker's URL; \
                 the user `guest` may only connect from the broker's own machine"
            ),
            Self::Lost(text) => format!("the connection to RabbitMQ at {place} was lost: {text}"),
            Self::Nacked => format!(
                "RabbitMQ at {place} refused a message (nack): a queue that is bound to the \
                 exchange cannot take it. Look for a queue that is full and has \
                 x-overflow=reject-publish, or has no leader"
            ),
            Self::Topology(text) => format!(
                "RabbitMQ at {place} has an exchange or a queue of that name with other \
                 properties, or lacks one: {text}. Delete it, or use another name or prefix"
            ),
            Self::TimedOut(what, limit) => format!(
                "RabbitMQ at {place} did not answer within {limit:?} while {what}: it hangs, is \
                 overloaded, or something else listens there"
            ),
            Self::TooLarge(limit) => format!(
                "RabbitMQ at {place} takes no messages larger than {limit} bytes: raise \
                 max_message_size in rabbitmq.conf"
            ),
            Self::Unreachable(text) => format!(
                "cannot reach RabbitMQ at {place}: {text}. Is it running, and is the broker's URL right?{}",
                if place.is_encrypted() {
                    " Is the port the one for TLS, and is the certificate's authority known here \
                     (SSL_CERT_FILE)?"
                } else {
                    ""
                }
            ),
            Self::Vhost(text) => format!(
                "RabbitMQ at {place} does not let the user `{user}` into the virtual host \
                 `{vhost}`: {text}. Create it (rabbitmqctl add_vhost) and give permissions, or \
                 correct the broker's URL; the default virtual host is written /%2f"
            ),
        }
    }
}

/// The error without the layers' own names before it.
fn plain(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(error) => describe(error),
        _ => error.to_string(),
    }
}

fn describe(error: &dyn fmt::Display) -> String {
    error.to_string()
}

/// The limit in "message size 9 is larger than configured max size 8".
fn size_limit(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once("is larger than configured max size ")?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_limit_is_found_in_the_brokers_words() {
        let text = "PRECONDITION_FAILED - message size 200 is larger than configured max size 128";
        assert_eq!(size_limit(text), Some(128));
        assert_eq!(size_limit("PRECONDITION_FAILED - inequivalent arg"), None);
    }

    #[test]
    fn reply_codes_are_told_apart_by_the_stage() {
        let kind = |code, stage| Down::refused(code, "text", stage).kind();
        let text = String::new;
        for (code, stage, expected) in [
            (403, Stage::Connect, Down::Login(text())),
            (403, Stage::Run, Down::Forbidden(text())),
            (404, Stage::Declare, Down::Topology(text())),
            (404, Stage::Run, Down::Gone(text())),
            (406, Stage::Run, Down::Topology(text())),
            (530, Stage::Connect, Down::Vhost(text())),
            (320, Stage::Run, Down::Lost(text())),
            (999, Stage::Run, Down::Lost(text())),
        ] {
            assert_eq!(kind(code, stage), expected.kind(), "{code} {stage:?}");
        }
    }

    #[test]
    fn an_explanation_names_the_place_and_never_the_password() {
        let place = Place::parse(&"amqp://bot:hunter2@rabbit:5999/prod".to_owned().into()).unwrap();
        let text = || "ACCESS_REFUSED".to_owned();
        for down in [
            Down::Forbidden(text()),
            Down::Gone(text()),
            Down::Login(text()),
            Down::Lost(text()),
            Down::Nacked,
            Down::Topology(text()),
            Down::TimedOut("connecting", Duration::from_secs(10)),
            Down::TooLarge(5),
            Down::Unreachable(text()),
            Down::Vhost(text()),
        ] {
            let explanation = down.explain(&place);
            assert!(explanation.contains("rabbit:5999"), "{explanation}");
            assert!(!explanation.contains("hunter2"), "{explanation}");
        }
    }
}
