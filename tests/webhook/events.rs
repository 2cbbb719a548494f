//! Webhook events, from a signed request to a worker's queue.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use futures_util::{
    StreamExt as _,
    future::{join, join_all},
};
use lapin::{
    Connection, ConnectionProperties, Consumer, ExchangeKind,
    options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use prost::Message as _;
use serde_json::{Value, json};
use sim::WebhookEvent;
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time;
use transcode::{Scratch, Transcoder};
use wire::gateway::v1::{Event, Source, event::Data};

use super::stage::{free, over};
use crate::api::stage::{PATIENCE, Stage, until};

/// A worker that wants all events.
struct Listening {
    connection: Connection,
    events: Consumer,
}

impl Listening {
    async fn new(rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&rabbit.url(), properties).await?;
        let channel = connection.create_channel().await?;
        let exchange = format!("{prefix}.events");
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let table = FieldTable::default;
        let topic = ExchangeKind::Topic;
        channel
            .exchange_declare(exchange.as_str().into(), topic, durable, table())
            .await?;
        let queue = format!("{prefix}.all");
        let options = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .queue_declare(queue.as_str().into(), options, table())
            .await?;
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                "#".into(),
                bind,
                table(),
            )
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let events = channel
            .basic_consume(queue.as_str().into(), "".into(), options, table())
            .await?;
        Ok(Self { connection, events })
    }

    /// The next event, and its routing key.
    async fn next(&mut self) -> Result<(String, Event)> {
        let delivery = time::timeout(PATIENCE, self.events.next()).await;
        let delivery = delivery.context("no event came")?.context("the end")??;
        let event = Event::decode(delivery.data.as_slice())?;
        let id = delivery.properties.message_id().as_ref();
        ensure!(id.map(ToString::to_string) == Some(event.id.clone()));
        Ok((delivery.routing_key.to_string(), event))
    }
}

/// Starts a service that takes webhook events, and says where.
async fn start(stage: &mut Stage) -> Result<(Service, String)> {
    stage.set("HTTP_ADDRESS", "127.0.0.1:0");
    stage.set("DISCORD_PUBLIC_KEY", &stage.sim.public_key());
    let service = stage.start().await?;
    let url = format!("{}/events", service.http().await?);
    Ok((service, url))
}

/// The webhook events that Discord documents, as they are pinned.
fn golden() -> Result<Vec<(String, Value)>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut events = Vec::new();
    for name in [
        "APPLICATION_AUTHORIZED",
        "APPLICATION_AUTHORIZED.user",
        "APPLICATION_DEAUTHORIZED",
        "ENTITLEMENT_CREATE.webhook",
        "ENTITLEMENT_UPDATE",
        "ENTITLEMENT_DELETE",
        "QUEST_USER_ENROLLMENT",
        "LOBBY_MESSAGE_CREATE",
        "LOBBY_MESSAGE_UPDATE",
        "LOBBY_MESSAGE_DELETE",
        "GAME_DIRECT_MESSAGE_CREATE",
        "GAME_DIRECT_MESSAGE_UPDATE",
        "GAME_DIRECT_MESSAGE_DELETE",
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json")));
        let json = serde_json::from_str(&text.with_context(|| name.to_owned())?)?;
        let name = name.split('.').next().unwrap_or_default();
        events.push((name.to_owned(), json));
    }
    Ok(events)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_comes_typed_and_as_discord_sent_it() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-events");
    let mut stage = over(rabbit, prefix, free()).await?;
    let (service, url) = start(&mut stage).await?;
    let mut worker = Listening::new(rabbit, prefix).await?;
    let (transcoder, mut scratch) = (Transcoder::new(), Scratch::default());
    let by_id = format!("{url}/{}", stage.application_id);
    for (number, (name, data)) in golden()?.into_iter().enumerate() {
        let url = if number % 2 == 0 { &url } else { &by_id };
        let event = WebhookEvent::new(url, &name, data.clone());
        let delivery = stage.sim.send_event(&event).await?;
        ensure!(
            delivery.taken && delivery.attempts.len() == 1,
            "{name}: {delivery:?}"
        );
        let (key, event) = worker.next().await?;
        ensure!(
            key.starts_with(&format!("{}.{name}.", stage.application_id)),
            "{key}"
        );
        ensure!(event.source() == Source::Webhook && event.shard.is_none());
        let sent = event.encode_to_vec();
        let payload = transcoder.payload(&sent, &mut scratch)?;
        ensure!(payload.typed, "{name}");
        ensure!(
            serde_json::from_str::<Value>(payload.json)? == data,
            "{name}"
        );
    }
    // One that nobody knows.
    let unknown = WebhookEvent::new(&url, "NEVER_HEARD_OF", json!({"a": [1]}));
    ensure!(stage.sim.send_event(&unknown).await?.taken);
    let (_, event) = worker.next().await?;
    ensure!(
        event.json == r#"{"a":[1]}"# && event.data.is_none(),
        "{event:?}"
    );
    worker.connection.close(200, "done".into()).await?;
    until(&service, "/metrics", |text| {
        text.contains("gateway_webhook_events_total{") && text.contains("event=\"other\"")
    })
    .await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_signatures_are_refused_and_nothing_is_published() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-forged");
    let mut stage = over(rabbit, prefix, free()).await?;
    let (service, url) = start(&mut stage).await?;
    let mut worker = Listening::new(rabbit, prefix).await?;
    for url in [url.clone(), format!("{url}/{}", stage.application_id)] {
        let attempts = stage.sim.probe_events(&url).await?;
        let right = attempts.first().context("the ping")?.1;
        ensure!(right.status == Some(204), "{right:?}");
    }
    let client = reqwest::Client::new();
    for (path, expected) in [
        ("/events/9", 404),
        ("/events/x", 404),
        ("/", 404),
        ("/interactions", 404),
    ] {
        let url = url.replace("/events", path);
        let status = client.post(&url).body("{}").send().await?.status();
        ensure!(status == expected, "{path}: {status}");
    }
    ensure!(client.get(&url).send().await?.status() == 405);
    ensure!(client.post(&url).body("{}").send().await?.status() == 401);
    // After all of that the first event is the first.
    let event = WebhookEvent::new(&url, "ENTITLEMENT_CREATE", json!({"id": "5"}));
    ensure!(stage.sim.send_event(&event).await?.taken);
    ensure!(worker.next().await?.1.name == "ENTITLEMENT_CREATE");
    worker.connection.close(200, "done".into()).await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_rabbitmq_cannot_take_comes_again_with_the_same_id() -> Result<()> {
    let (mut rabbit, prefix) = (Rabbit::start()?, "webhook-away");
    let mut stage = over(&rabbit, prefix, free()).await?;
    let (service, url) = start(&mut stage).await?;
    // Its queue outlives the restart.
    let worker = Listening::new(&rabbit, prefix).await?;
    worker.connection.close(200, "done".into()).await?;
    rabbit.stop()?;
    let mut event = WebhookEvent::new(&url, "ENTITLEMENT_CREATE", json!({"id": "5"}));
    (event.retry_ms, event.give_up_ms) = (200, 120_000);
    let sending = stage.sim.send_event(&event);
    let restart = async {
        // Discord has been told that it was not kept.
        let told = |text: &str| {
            let mut lines = text.lines();
            lines.any(|line| line.starts_with("gateway_webhook_events_unconfirmed_total{"))
        };
        until(&service, "/metrics", told).await?;
        tokio::task::block_in_place(|| rabbit.restart())
    };
    let (delivery, restarted) = join(sending, restart).await;
    restarted?;
    let delivery = delivery?;
    ensure!(delivery.taken, "{delivery:?}");
    let first = delivery.attempts.first().context("there is one")?;
    ensure!(first.status == Some(503), "{delivery:?}");
    let last = WebhookEvent::new(&url, "ENTITLEMENT_DELETE", json!({"id": "6"}));
    ensure!(stage.sim.send_event(&last).await?.taken);
    let mut worker = Listening::new(&rabbit, prefix).await?;
    let first = worker.next().await?.1;
    ensure!(first.name == "ENTITLEMENT_CREATE", "{first:?}");
    // What was given up may come as well: then it is the same.
    loop {
        let (_, next) = worker.next().await?;
        if next.name == "ENTITLEMENT_DELETE" {
            break;
        }
        ensure!(next.id == first.id, "{} {}", next.id, first.id);
    }
    worker.connection.close(200, "done".into()).await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_no_event_that_was_taken() -> Result<()> {
    const EVENTS: usize = 200;
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-stop");
    let mut stage = over(rabbit, prefix, free()).await?;
    let (service, url) = start(&mut stage).await?;
    let mut worker = Listening::new(rabbit, prefix).await?;
    let events = (0..EVENTS).map(|number| {
        let id = (number + 1).to_string();
        let mut event = WebhookEvent::new(&url, "ENTITLEMENT_CREATE", json!({"id": id}));
        event.give_up_ms = 0;
        let sim = &stage.sim;
        async move { (id, sim.send_event(&event).await) }
    });
    let sending = join_all(events);
    let stopping = async {
        let (_, first) = worker.next().await?;
        let ended = tokio::task::spawn_blocking(move || service.terminate()).await??;
        ensure!(ended.status.success(), "{}", ended.log);
        Ok::<_, anyhow::Error>((first, worker))
    };
    let (sent, stopped) = join(sending, stopping).await;
    let (first, mut worker) = stopped?;
    let mut missing = BTreeSet::new();
    for (id, delivery) in sent {
        if delivery?.taken {
            missing.insert(id);
        }
    }
    let id = |event: &Event| match &event.data {
        Some(Data::EntitlementCreate(it)) => it.id().to_string(),
        _ => String::new(),
    };
    missing.remove(&id(&first));
    // Each that was taken comes.
    while !missing.is_empty() {
        missing.remove(&id(&worker.next().await?.1));
    }
    worker.connection.close(200, "done".into()).await?;
    Ok(())
}
