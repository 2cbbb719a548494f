//! What an operator can set for each application.

use super::{
    presence::Presence,
    values::{EventName, ShardCount, ShardRange},
};
use crate::intents;
use boot::{Key, Reader, SecretString};
use broker::{Batch, EventBatch};
use discord::config::{APPLICATION_ID, Id, LIST, TOKEN, Token};
use events::Carries;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const INTENTS: Key = Key::new(
    "DISCORD_INTENTS",
    "The gateway intents: names separated by commas, or the number of the bitfield.",
)
.in_each(LIST, "intents");
const EVENTS: Key = Key::new(
    "DISCORD_EVENTS",
    "The events to publish, by name, separated by commas. All when it is not set.",
)
.in_each(LIST, "events");
const SHARD_COUNT: Key = Key::new(
    "DISCORD_SHARD_COUNT",
    "How many shards there are: a number, or `auto` for what Discord recommends.",
)
.with_default("auto")
.in_each(LIST, "shard_count");
const SHARD_IDS: Key = Key::new(
    "DISCORD_SHARD_IDS",
    "The shards that this process runs, such as `0-3,8`. All when it is not set.",
)
.in_each(LIST, "shard_ids");
const PRESENCE: Key = Key::new(
    "DISCORD_PRESENCE",
    "The bot's status and activities when it connects, as the JSON of Discord's Update Presence, \
     such as `{\"status\":\"idle\"}`. Online when it is not set.",
)
.in_each(LIST, "presence");
const EVENT_PAYLOAD: Key = Key::new(
    "EVENT_PAYLOAD",
    "What an event carries: `typed`, `json` or `both`. Events that the schema does not know \
     always carry `json`.",
)
.with_default("typed")
.in_each(LIST, "event_payload");
const EVENT_BATCH: Key = Key::new(
    "EVENT_BATCH",
    "The events that travel together when they come together, as `EventBatch`: how many at most, \
     and how long the first may wait, such as `PRESENCE_UPDATE=64/5ms,TYPING_START=32/2ms`.",
)
.in_each(LIST, "event_batch");

/// The keys of an application.
pub(super) const KEYS: &[Key] = &[
    TOKEN,
    APPLICATION_ID,
    INTENTS,
    EVENTS,
    SHARD_COUNT,
    SHARD_IDS,
    PRESENCE,
    EVENT_PAYLOAD,
    EVENT_BATCH,
];

/// One application, and how it connects to Discord.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    /// The bot's token.
    pub(crate) token: SecretString,
    /// The application's id, if it need not be asked for.
    pub(crate) id: Option<u64>,
    /// The bitfield of intents.
    pub(crate) intents: u64,
    /// The events to publish; `None` is all.
    pub(crate) events: Option<Arc<BTreeSet<String>>>,
    /// How many shards there are; `None` is Discord's recommendation.
    pub(crate) shard_count: Option<u32>,
    /// The shards that this process runs; `None` is all.
    pub(crate) shard_ids: Option<BTreeSet<u32>>,
    /// Status and activities from the start; `None` is online, and idle hands.
    pub(crate) presence: Option<Presence>,
    /// Which lanes an event carries.
    pub(crate) lanes: transcode::Lanes,
    /// The events that are batched, by name.
    pub(crate) batches: Arc<BTreeMap<String, Batch>>,
}

impl Application {
    /// Reads [`KEYS`]; mistakes stay with the reader.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let token = reader.required::<Token>(&TOKEN);
        let id = reader.optional::<Id>(&APPLICATION_ID);
        let intents = reader.required::<intents::Bits>(&INTENTS);
        let events = reader.optional::<Vec<EventName>>(&EVENTS);
        let shard_count = reader.or_default::<ShardCount>(&SHARD_COUNT);
        let shard_ids = reader.optional::<Vec<ShardRange>>(&SHARD_IDS);
        let presence = reader.optional(&PRESENCE);
        let lanes = reader.or_default::<Carries>(&EVENT_PAYLOAD);
        let batches = read_batches(reader);
        let shard_ids = shard_ids.map(ShardRange::ids);
        if let (Some(ids), Some(ShardCount(Some(count)))) = (&shard_ids, shard_count)
            && let Some(id) = ids.iter().find(|id| **id >= count)
        {
            reader.mistake(
                &SHARD_IDS,
                format!("names shard {id}, but DISCORD_SHARD_COUNT is {count}"),
            );
        }
        Some(Self {
            token: token?.0,
            id: id.map(|id| id.0),
            intents: intents?.0,
            events: events.map(EventName::set),
            shard_count: shard_count?.0,
            shard_ids,
            presence,
            lanes: lanes?.0,
            batches: Arc::new(batches),
        })
    }
}

/// The batches by event; one that is named twice is a mistake.
fn read_batches(reader: &mut Reader) -> BTreeMap<String, Batch> {
    let mut batches = BTreeMap::new();
    for EventBatch { name, batch } in reader.optional::<Vec<_>>(&EVENT_BATCH).unwrap_or_default() {
        if batches.contains_key(&name) {
            reader.mistake(&EVENT_BATCH, format!("names {name} twice"));
        }
        batches.insert(name, batch);
    }
    batches
}
