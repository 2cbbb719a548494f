//! What cannot be handled ends in the dead-letter exchange, and holds nothing up.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use broker::Message;
use discord_gateway_client::{
    Envelope, EventHandler, HandlerResult, serenity::model::event::MessageCreateEvent,
    wire::gateway::v1::Event,
};
use lapin::{message::Delivery, types::AMQPValue};
use prost::Message as _;
use tests::rabbitmq::Rabbit;
use tokio::sync::Notify;

use super::{Notes, Slow, WINDOW, connected, message, next, options};
use crate::broker::service::{Service, Worker};

/// The messages that the handler below does not get done.
const FAILS: u64 = 1;
const PANICS: u64 = 2;
const FAILS_ONCE: u64 = 3;

/// Notes each attempt.
struct Clumsy(Notes);

impl EventHandler for Clumsy {
    async fn message(&self, _: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        let sequence = event.message.content.parse()?;
        let before = self.0.list().iter().filter(|it| **it == sequence).count();
        self.0.add(sequence);
        match sequence {
            FAILS => Err("this handler never works".into()),
            PANICS => panic!("this handler is broken"),
            FAILS_ONCE if before == 0 => Err("not yet".into()),
            _ => Ok(()),
        }
    }
}

/// A message whose body is no event.
fn poison(sequence: u64) -> Message {
    Message {
        body: b"\xff\xff poison".as_slice().into(),
        ..message(sequence)
    }
}

/// The reason in the header of a dead letter.
fn reason(letter: &Delivery) -> Result<String> {
    let headers = letter.properties.headers().as_ref().context("no headers")?;
    match headers.inner().get("reason") {
        Some(AMQPValue::LongString(text)) => Ok(text.to_string()),
        other => anyhow::bail!("the reason is {other:?}"),
    }
}

fn message_id(letter: &Delivery) -> &str {
    let id = letter.properties.message_id().as_ref();
    id.map_or("", |id| id.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_and_failures_end_in_the_dead_letter_exchange() -> Result<()> {
    let rabbit = Rabbit::shared();
    let options = options(rabbit, "poison").attempts(3, Duration::from_millis(1));
    let consumer = connected(options).await?;
    let letters = Worker::connect(rabbit, "poison.letters").await?;
    letters.bind("poison.dead-letter", "#").await?;
    let service = Service::start(rabbit.url(), "poison", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, poison(10)).await?;
    for sequence in [FAILS, PANICS, FAILS_ONCE, 4] {
        lane.publish(sequence + 1, message(sequence)).await?;
    }
    let (notes, stop) = (Notes::default(), Notify::new());
    let handler = Clumsy(notes.clone());
    let (_, found) = tokio::join!(consumer.run(handler, stop.notified()), async {
        let mut left = 3;
        let found = letters
            .take_until(|_| {
                left -= 1;
                left == 0
            })
            .await;
        let found = match notes.reach(9).await {
            Ok(()) => found,
            Err(error) => Err(error),
        };
        stop.notify_one();
        found
    });
    let mut found = found?;
    found.sort_by_key(|letter| message_id(letter).to_owned());
    let ids: Vec<&str> = found.iter().map(message_id).collect();
    ensure!(ids == ["session:1", "session:10", "session:2"], "{ids:?}");
    ensure!(reason(&found[0])? == "this handler never works");
    ensure!(reason(&found[1])?.starts_with("not a gateway.v1.Event"));
    ensure!(reason(&found[2])? == "the handler panicked: this handler is broken");
    ensure!(found[0].routing_key.as_str() == "1.MESSAGE_CREATE.101.7");
    ensure!(Event::decode(found[0].data.as_slice())?.id == "session:1");
    let mut attempts = notes.list().clone();
    attempts.sort_unstable();
    ensure!(attempts == [1, 1, 1, 2, 2, 2, 3, 3, 4], "{attempts:?}");
    letters.close().await?;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_does_not_end_the_stream() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut consumer = connected(options(rabbit, "stream")).await?;
    let service = Service::start(rabbit.url(), "stream", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, poison(1)).await?;
    lane.publish(2, message(2)).await?;
    let found = next(&mut consumer).await?;
    ensure!(found.envelope.id == "session:2", "{}", found.envelope.id);
    found.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_finishes_what_was_begun_and_gives_the_rest_back() -> Result<()> {
    let rabbit = Rabbit::shared();
    let options = options(rabbit, "stopping").concurrency(1);
    let consumer = connected(options.clone()).await?;
    let service = Service::start(rabbit.url(), "stopping", WINDOW);
    let mut lane = service.broker.lane();
    for sequence in 1..=3 {
        lane.publish(sequence, message(sequence)).await?;
    }
    let slow = Slow::default();
    consumer
        .run(slow.clone(), async {
            slow.begun.notified().await;
            // The handler is at work, and ends after the consumer has begun to stop.
            slow.end.notify_one();
        })
        .await;
    ensure!(*slow.notes.list() == [1], "{:?}", slow.notes.list());

    let mut consumer = connected(options).await?;
    for id in ["session:2", "session:3"] {
        let found = next(&mut consumer).await?;
        ensure!(
            found.envelope.id == id,
            "{} came, not {id}",
            found.envelope.id
        );
        found.ack().await?;
    }
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_never_ends_is_cut_off_and_its_event_comes_again() -> Result<()> {
    let rabbit = Rabbit::shared();
    let options = options(rabbit, "stuck").grace(Duration::from_millis(1));
    let consumer = connected(options.clone()).await?;
    let service = Service::start(rabbit.url(), "stuck", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, message(1)).await?;
    let slow = Slow::default();
    consumer.run(slow.clone(), slow.begun.notified()).await;
    ensure!(slow.notes.list().is_empty());
    let mut consumer = connected(options).await?;
    let found = next(&mut consumer).await?;
    ensure!(found.redelivered() && found.envelope.id == "session:1");
    found.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}
