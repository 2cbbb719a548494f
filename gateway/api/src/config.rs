//! What an operator can set, and what the values have to be.

use crate::listener;
use boot::{Key, Reader};
use discord::config::{APPLICATION_ID, Id, LIST, TOKEN, Token};
use outbound::{Application, GLOBAL_LIMIT};

/// The keys of an application.
const EACH: &[Key] = &[TOKEN, APPLICATION_ID, GLOBAL_LIMIT];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[
    EACH,
    outbound::KEYS,
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
        Some(Self {
            applications: applications?,
            outbound: outbound?,
            http,
            store: store?,
            broker: broker?,
        })
    }
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
