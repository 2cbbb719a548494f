//! The Rust library for workers, against a real RabbitMQ.

mod batches;
mod events;
mod failures;
mod requests;

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use broker::{Exchange, Lane, Message};
use discord_gateway_client::{
    Consumer, Delivery, Envelope, EventHandler, HandlerResult, Options,
    serenity::model::event::MessageCreateEvent, wire::gateway::v1::Source,
};
use serde_json::{Value, json};
use tests::rabbitmq::Rabbit;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use transcode::{Lanes, Payload, Scratch, Transcoder};

use crate::broker::service::{PATIENCE, id};

const WINDOW: usize = 4 * 1024 * 1024;

/// The options of a consumer whose queue gets all events, and is named like the prefix.
fn options(rabbit: &Rabbit, prefix: &str) -> Options {
    Options::new(rabbit.url(), prefix).prefix(prefix).bind("#")
}

/// A consumer whose queue is there, so that nothing is published past it.
async fn connected(options: Options) -> Result<Consumer> {
    let mut consumer = Consumer::new(options)?;
    within("a connection", consumer.connect()).await?;
    Ok(consumer)
}

/// The next event, which has to come.
async fn next(consumer: &mut Consumer) -> Result<Delivery> {
    within("an event", consumer.next()).await
}

/// Waits, but not for ever.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let waiting = time::timeout(PATIENCE, future).await;
    waiting.with_context(|| format!("waited {PATIENCE:?} in vain for {what}"))
}

/// The message that the gateway publishes for an event.
fn event(sequence: u64, name: &str, guild_id: u64, payload: &Value) -> Message {
    static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(Transcoder::new);
    let (message_id, text) = (id(sequence), payload.to_string());
    let envelope = transcode::Envelope {
        id: &message_id,
        application_id: 1,
        name,
        source: Source::Ws,
        shard: Some((2, 3)),
        sequence: Some(sequence),
        received_at: SystemTime::now(),
        lanes: Lanes::Typed,
    };
    let mut scratch = Scratch::default();
    let encoded = TRANSCODER.event(&envelope, Payload::new(&text), &mut scratch);
    Message {
        exchange: Exchange::Events,
        routing_key: format!("1.{name}.{guild_id}.7"),
        type_name: "gateway.v1.Event",
        app_id: "1".into(),
        timestamp: 1_700_000_000,
        headers: Vec::new(),
        body: encoded.body.to_vec().into(),
        group: guild_id,
        batch: None,
        trace: None,
        wanted: None,
        message_id,
    }
}

/// A message in one of ten guilds, whose text is its sequence.
fn message(sequence: u64) -> Message {
    let guild_id = 100 + sequence % 10;
    let payload = json!({
        "id": (1_000_000 + sequence).to_string(), "channel_id": "7",
        "guild_id": guild_id.to_string(), "content": sequence.to_string(),
        "author": {"id": "9", "username": "ann", "discriminator": "0", "avatar": null},
        "timestamp": "2026-03-01T12:00:00.250000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
        "embeds": [], "pinned": false, "type": 0, "components": [], "flags": 0,
    });
    event(sequence, "MESSAGE_CREATE", guild_id, &payload)
}

/// Publishes messages with these sequences, waiting for room as a shard does.
async fn publish(lane: &mut Lane, sequences: impl Iterator<Item = u64>) -> Result<()> {
    for sequence in sequences {
        lane.room().await;
        lane.publish(sequence, message(sequence)).await?;
    }
    Ok(())
}

/// What handlers have seen, in their order; clones share it.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<u64>>>);

impl Notes {
    fn add(&self, sequence: u64) {
        self.list().push(sequence);
    }

    fn list(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this many are there.
    async fn reach(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.list().len() < count {
            if Instant::now() > deadline {
                bail!("only {} of {count} events came", self.list().len());
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Notes each message.
struct Noting(Notes);

impl EventHandler for Noting {
    async fn message(&self, _: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        self.0.add(event.message.content.parse()?);
        Ok(())
    }
}

/// Begins with each message and ends when it is told to.
#[derive(Clone, Default)]
struct Slow {
    notes: Notes,
    begun: Arc<Notify>,
    end: Arc<Notify>,
}

impl EventHandler for Slow {
    async fn message(&self, _: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        self.begun.notify_one();
        self.end.notified().await;
        self.notes.add(event.message.content.parse()?);
        Ok(())
    }
}
