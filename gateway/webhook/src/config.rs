//! What an operator can set, and what the values have to be.

use boot::{Key, Reader};
use discord::{
    config::{APPLICATION_ID, Id, LIST, TOKEN, Token},
    limit::Settings,
};
use outbound::Application;

/// The keys of an application.
const EACH: &[Key] = &[TOKEN, APPLICATION_ID];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[EACH, outbound::KEYS, store::KEYS, broker::KEYS];

/// The configuration of `gateway-webhook`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// How requests are sent to Discord.
    pub(crate) outbound: outbound::Config,
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
        let store = store::Config::read(reader, None);
        let broker = broker::Config::read(reader);
        Some(Self {
            applications: applications?,
            outbound: outbound?,
            store: store?,
            broker: broker?,
        })
    }
}

/// An application's id is enough: a webhook has a token of its own.
fn application(reader: &mut Reader) -> Option<Application> {
    let token = reader.optional::<Token>(&TOKEN);
    let id = match reader.is_set(&TOKEN) {
        true => reader.optional::<Id>(&APPLICATION_ID),
        false => Some(reader.required::<Id>(&APPLICATION_ID)?),
    };
    Some(Application {
        id: id.map(|id| id.0),
        token: token.map(|token| token.0),
        // No request of a webhook counts for the application.
        global_limit: Settings::default().global_limit,
    })
}

#[cfg(test)]
mod tests;
