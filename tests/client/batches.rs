//! Events that come several to a message are handled and settled one by one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use broker::{Message, Value};
use discord_gateway_client::{
    Envelope, EventHandler, HandlerResult, serenity::model::event::MessageCreateEvent,
    wire::gateway::v1::Event,
};
use lapin::types::AMQPValue;
use prost::Message as _;
use sim::{Config, EmitRequest, Mix};
use tests::rabbitmq::Rabbit;
use tokio::sync::Notify;

use super::{Notes, Slow, WINDOW, connected, message, next, options};
use crate::{
    broker::service::{Service, Worker, id},
    ws::system::stage,
};

/// The trace of a batch.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The message whose handler fails.
const FAILS: u64 = 20;

/// The batch with these bodies. The first event's sequence says what else the message has.
fn batch(first: u64, bodies: &[Vec<u8>]) -> Message {
    let mut body = Vec::new();
    for each in bodies {
        prost::encoding::bytes::encode(1, each, &mut body);
    }
    Message {
        type_name: "gateway.v1.EventBatch",
        message_id: format!("{}+{}", id(first), bodies.len().saturating_sub(1)),
        body: body.into(),
        ..message(first)
    }
}

/// The bodies of events with these sequences, which belong to one guild.
fn bodies(sequences: &[u64]) -> Vec<Vec<u8>> {
    let bodies = sequences
        .iter()
        .map(|sequence| message(*sequence).body.to_vec());
    bodies.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_batch_come_one_by_one_and_what_was_dealt_with_does_not_come_again()
-> Result<()> {
    let rabbit = Rabbit::shared();
    let mut consumer = connected(options(rabbit, "batch").drop_duplicates(10)).await?;
    let service = Service::start(rabbit.url(), "batch", WINDOW);
    let mut lane = service.broker.lane();
    let mut traced = batch(10, &bodies(&[10, 20, 30]));
    let trace = Value::Text(TRACE.to_owned());
    traced.headers.push(("traceparent", trace));
    lane.publish(1, traced).await?;
    lane.publish(2, message(40)).await?;

    let mut given_back = None;
    for sequence in [10, 20, 30] {
        let delivery = next(&mut consumer).await?;
        let envelope = &delivery.envelope;
        ensure!(envelope.id == id(sequence), "{}", envelope.id);
        ensure!(envelope.sequence == Some(sequence) && !delivery.redelivered());
        ensure!(delivery.wire()?.id == id(sequence));
        ensure!(envelope.traceparent.as_deref() == Some(TRACE));
        match sequence {
            20 => given_back = Some(delivery),
            _ => delivery.ack().await?,
        }
    }
    drop(given_back);
    let again = loop {
        let delivery = next(&mut consumer).await?;
        if delivery.envelope.id != id(40) {
            break delivery;
        }
        delivery.ack().await?;
    };
    ensure!(again.envelope.id == id(20) && again.redelivered());
    again.ack().await?;
    // The third was dealt with before, too, so nothing of the batch is left: neither here, nor in the queue
    // for one who remembers nothing.
    for (sequence, again) in [(50, false), (60, true)] {
        if again {
            consumer.close().await;
            consumer = connected(options(rabbit, "batch")).await?;
        }
        lane.publish(sequence, message(sequence)).await?;
        let found = next(&mut consumer).await?;
        ensure!(found.envelope.id == id(sequence), "{}", found.envelope.id);
        found.ack().await?;
    }
    consumer.close().await;
    drop(lane);
    service.stop().await
}

/// Notes each message, and fails with one.
struct Failing(Notes);

impl EventHandler for Failing {
    async fn message(&self, _: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        match event.message.content.parse()? {
            FAILS => Err("this handler never works".into()),
            sequence => {
                self.0.add(sequence);
                Ok(())
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_of_a_batch_is_refused_and_the_others_are_handled_in_their_order() -> Result<()> {
    let rabbit = Rabbit::shared();
    let options = options(rabbit, "apart").attempts(2, Duration::from_millis(1));
    let consumer = connected(options.clone()).await?;
    let letters = Worker::connect(rabbit, "apart.letters").await?;
    letters.bind("apart.dead-letter", "#").await?;
    let service = Service::start(rabbit.url(), "apart", WINDOW);
    let mut lane = service.broker.lane();
    let mut events = bodies(&[10, FAILS, 30]);
    events.insert(2, b"\xff\xff poison".to_vec());
    lane.publish(1, batch(10, &events)).await?;
    let (notes, stop) = (Notes::default(), Notify::new());
    let (_, found) = tokio::join!(
        consumer.run(Failing(notes.clone()), stop.notified()),
        async {
            let mut left = 2;
            let found = letters.take_until(|_| {
                left -= 1;
                left == 0
            });
            let found = found.await;
            let found = notes.reach(2).await.and(found);
            stop.notify_one();
            found
        }
    );
    ensure!(*notes.list() == [10, 30], "{:?}", notes.list());
    let found = found?;
    let letter = |id: &str| {
        let same = |it: &&lapin::message::Delivery| {
            it.properties.message_id().as_ref().map(|it| it.as_str()) == Some(id)
        };
        found.iter().find(same).context("no such letter")
    };
    let failed = letter(&id(FAILS))?;
    ensure!(Event::decode(failed.data.as_slice())?.id == id(FAILS));
    ensure!(failed.properties.kind() == &Some("gateway.v1.Event".into()));
    ensure!(failed.routing_key.as_str() == "1.MESSAGE_CREATE.100.7");
    let poison = letter("session:10+3")?;
    ensure!(poison.data == b"\xff\xff poison");
    letters.close().await?;

    let mut consumer = connected(options).await?;
    lane.publish(2, message(50)).await?;
    let last = next(&mut consumer).await?;
    ensure!(last.envelope.id == id(50), "the batch is still there");
    last.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_none_ends_in_the_dead_letter_exchange_as_it_is() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut consumer = connected(options(rabbit, "none")).await?;
    let letters = Worker::connect(rabbit, "none.letters").await?;
    letters.bind("none.dead-letter", "#").await?;
    let service = Service::start(rabbit.url(), "none", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, batch(10, &[])).await?;
    let broken = Message {
        body: b"\x0a\x7f".as_slice().into(),
        ..batch(20, &[])
    };
    lane.publish(2, broken).await?;
    lane.publish(3, batch(30, &bodies(&[30, 40]))).await?;
    for sequence in [30, 40] {
        let delivery = next(&mut consumer).await?;
        ensure!(delivery.envelope.id == id(sequence));
        delivery.ack().await?;
    }
    let mut left = 2;
    let found = letters
        .take_until(|_| {
            left -= 1;
            left == 0
        })
        .await?;
    for (letter, begin) in found.iter().zip([
        "a gateway.v1.EventBatch without events",
        "not a gateway.v1.EventBatch: ",
    ]) {
        let headers = letter.properties.headers().as_ref().context("no headers")?;
        let Some(AMQPValue::LongString(reason)) = headers.inner().get("reason") else {
            anyhow::bail!("no reason: {headers:?}");
        };
        ensure!(reason.to_string().starts_with(begin), "{reason}");
        ensure!(letter.properties.kind() == &Some("gateway.v1.EventBatch".into()));
    }
    letters.close().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_within_a_batch_gives_all_of_it_back() -> Result<()> {
    let rabbit = Rabbit::shared();
    let options = options(rabbit, "within").concurrency(1);
    let consumer = connected(options.clone()).await?;
    let service = Service::start(rabbit.url(), "within", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, batch(10, &bodies(&[10, 20]))).await?;
    let slow = Slow::default();
    consumer
        .run(slow.clone(), async {
            slow.begun.notified().await;
            slow.end.notify_one();
        })
        .await;
    ensure!(*slow.notes.list() == [10], "{:?}", slow.notes.list());

    let mut consumer = connected(options).await?;
    for sequence in [10, 20] {
        let delivery = next(&mut consumer).await?;
        ensure!(delivery.envelope.id == id(sequence) && delivery.redelivered());
        delivery.ack().await?;
    }
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_need_not_know_which_events_the_gateway_batches() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "floods");
    let mut consumer = connected(options(rabbit, prefix)).await?;
    let config = Config {
        guilds: 3,
        ..Config::default()
    };
    let mut stage = stage(rabbit, config, prefix).await?;
    stage.set("EVENT_BATCH", "PRESENCE_UPDATE=64/5ms");
    let service = stage.start_ready().await?;
    let flood = [("PRESENCE_UPDATE", 20.0), ("MESSAGE_CREATE", 1.0)];
    let request = EmitRequest {
        count: Some(3_000),
        mix: Some(Mix(flood.map(|(name, it)| (name.to_owned(), it)).into())),
        ..EmitRequest::default()
    };
    stage.sim.emit(request).await?;
    let mut missing = stage.dispatched();
    let count = missing.len();
    let (mut newest, mut taken) = (BTreeMap::new(), 0);
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await?;
        let envelope = &delivery.envelope;
        // What the gateway says of itself belongs to no session.
        let Some(sequence) = envelope.sequence else {
            delivery.ack().await?;
            continue;
        };
        let last = newest.insert(envelope.guild_id, sequence);
        ensure!(
            last < Some(sequence),
            "{sequence} came behind {last:?} in {:?}",
            envelope.guild_id
        );
        ensure!(missing.remove(&envelope.id), "{} came twice", envelope.id);
        taken += 1;
        delivery.ack().await?;
    }
    ensure!(taken == count, "{taken} of {count}");
    let messages = format!("{}/metrics", service.admin().await?);
    let metrics = reqwest::get(messages).await?.text().await?;
    let number = |name: &str| -> Result<usize> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("no such metric")?.trim().parse()?)
    };
    let messages = number("gateway_broker_published_total ")?;
    ensure!(
        messages < count,
        "{count} events came in {messages} messages"
    );
    consumer.close().await;
    service.terminate()?;
    stage.rules_kept()
}
