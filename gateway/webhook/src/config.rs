//! What an operator can set, and what the values have to be.

use std::{collections::BTreeMap, net::SocketAddr};

use boot::{Key, Reader};
use discord::{
    config::{APPLICATION_ID, Id, LIST, TOKEN, Token},
    limit::Settings,
    signature::PublicKeys,
};
use events::Carries;
use outbound::Application;
use transcode::Lanes;

const PUBLIC_KEY: Key = Key::new(
    "DISCORD_PUBLIC_KEY",
    "The application's public key, as the developer portal shows it; several with commas between them, such as the old and \
     the new one. Webhook events are taken for the applications that have one.",
)
.unique_in_each(LIST, "public_key");
const EVENT_PAYLOAD: Key = Key::new(
    "EVENT_PAYLOAD",
    "What an event carries: `typed`, `json` or `both`.",
)
.with_default("typed")
.in_each(LIST, "event_payload");
const ADDRESS: Key = Key::new(
    "HTTP_ADDRESS",
    "Where Discord, or the proxy in front, finds this service, such as 127.0.0.1:8080. The webhook events URL is its address with \
     the path /events, or /events/<application id>. No webhook events are taken when it is not set.",
);

/// The keys of an application.
const EACH: &[Key] = &[TOKEN, APPLICATION_ID, PUBLIC_KEY, EVENT_PAYLOAD];

/// All keys of this service, in the order of the documentation; `boot` adds those of every
/// service.
pub const KEYS: &[&[Key]] = &[
    EACH,
    outbound::KEYS,
    &[ADDRESS],
    listener::KEYS,
    store::KEYS,
    broker::KEYS,
];

/// The configuration of `gateway-webhook`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The applications, at least one.
    pub(crate) applications: Vec<Application>,
    /// How requests are sent to Discord.
    pub(crate) outbound: outbound::Config,
    /// How webhook events are taken, if there is an address.
    pub(crate) inbound: Option<Inbound>,
    /// Where the state is that replicas share.
    pub(crate) store: store::Config,
    /// The broker.
    pub(crate) broker: broker::Config,
}

/// How webhook events are taken.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    /// Where.
    pub(crate) address: SocketAddr,
    /// How many connections there are, and whether with TLS.
    pub(crate) open: listener::Config,
    /// The applications that have events, by their ids.
    pub(crate) events: BTreeMap<u64, Events>,
}

/// An application's events.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// What they are signed with.
    pub(crate) keys: PublicKeys,
    /// What they carry.
    pub(crate) lanes: Lanes,
}

impl Config {
    /// Reads the configuration; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let applications = reader.each(LIST, application);
        let outbound = outbound::Config::read(reader);
        let address = reader.optional::<SocketAddr>(&ADDRESS);
        let open = listener::Config::read(reader);
        let store = store::Config::read(reader, None);
        let broker = broker::Config::read(reader);
        let (applications, events): (Vec<Application>, Vec<_>) = applications?.into_iter().unzip();
        let open = open?;
        let inbound = address.map(|address| Inbound {
            address,
            open,
            events: events.into_iter().flatten().collect(),
        });
        Some(Self {
            applications,
            outbound: outbound?,
            inbound,
            store: store?,
            broker: broker?,
        })
    }
}

/// An application's id is enough for what is sent, as a webhook has a token of its own; who takes events has to know it.
fn application(reader: &mut Reader) -> Option<(Application, Option<(u64, Events)>)> {
    let token = reader.optional::<Token>(&TOKEN);
    let keys = reader.optional::<PublicKeys>(&PUBLIC_KEY);
    let lanes = reader.or_default::<Carries>(&EVENT_PAYLOAD);
    let can_ask = reader.is_set(&TOKEN) && !reader.is_set(&PUBLIC_KEY);
    let id = match can_ask {
        true => reader.optional::<Id>(&APPLICATION_ID),
        false => Some(reader.required::<Id>(&APPLICATION_ID)?),
    };
    let id = id.map(|id| id.0);
    let lanes = lanes?.0;
    let application = Application {
        id,
        token: token.map(|token| token.0),
        // No request of a webhook counts for the application.
        global_limit: Settings::default().global_limit,
    };
    let events = keys.map(|keys| Events { keys, lanes });
    Some((application, id.zip(events)))
}

#[cfg(test)]
mod tests;
