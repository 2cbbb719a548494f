//! What an operator can set, and what the values have to be.

use crate::listener;
use boot::{Key, Reader};
use broker::Kind;
use discord::config::{APPLICATION_ID, Id, LIST, TOKEN, Token};
use interactions::{REPLIES, Settings};
use outbound::{Application, GLOBAL_LIMIT};

/// The keys of an application.
const EACH: &[Key] = &[TOKEN, APPLICATION_ID, GLOBAL_LIMIT];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[
    EACH,
    outbound::KEYS,
    &[REPLIES],
    interactions::KEYS,
    listener::KEYS,
    ::listener::KEYS,
    store::KEYS,
    broker::KEYS,
];

/// The configuration of `gateway-api`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// How requests are sent to Discord.
    pub(crate) outbound: outbound::Config,
    /// How Discord's HTTP API is served, if it is.
    pub(crate) http: Option<listener::Config>,
    /// How interactions are answered that come by gateway connections, if they are.
    pub(crate) interactions: Option<Settings>,
    /// Where the state is that replicas share.
    pub(crate) store: store::Config,
    /// The broker.
    pub(crate) broker: broker::Config,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let applications = reader.each(LIST, application);
        let outbound = outbound::Config::read(reader);
        let http = listener::Config::read(reader);
        let store = store::Config::read(reader, None);
        let broker = broker::Config::read(reader);
        let interactions = interactions(reader, broker.as_ref());
        Some(Self {
            applications: applications?,
            outbound: outbound?,
            http,
            interactions: interactions?,
            store: store?,
            broker: broker?,
        })
    }
}

/// `None` for mistakes.
fn interactions(reader: &mut Reader, broker: Option<&broker::Config>) -> Option<Option<Settings>> {
    let is_wanted = reader.or_default::<bool>(&REPLIES);
    let settings = Settings::read(reader)?;
    let is_wanted = is_wanted?;
    if is_wanted && broker.is_some_and(|broker| broker.kind == Kind::Stdio) {
        let mistake = "needs BROKER_TYPE=amqp: over stdio no worker can reply to an event";
        reader.mistake(&REPLIES, mistake);
        return None;
    }
    Some(is_wanted.then_some(settings))
}

fn application(reader: &mut Reader) -> Option<Application> {
    let token = reader.required::<Token>(&TOKEN);
    let id = reader.optional::<Id>(&APPLICATION_ID);
    let global_limit = reader.in_range(&GLOBAL_LIMIT, 1..=100_000);
    Some(Application {
        token: Some(token?.0),
        id: id.map(|id| id.0),
        global_limit: global_limit?,
    })
}

#[cfg(test)]
mod tests;
