//! Events that travel together arrive once and in order, and count as confirmed one by one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use broker::{Batch, Message};
use lapin::message::Delivery;
use prost::Message as _;
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::{Event, EventBatch};

use super::service::{Service, Worker, event, id};

const WINDOW: usize = 1024 * 1024;
const LAST: u64 = 20_000;
const GUILDS: u64 = 5;

/// Every seventh event is of a kind that is not batched.
fn message(sequence: u64) -> Message {
    let guild = sequence % GUILDS;
    let alone = sequence.is_multiple_of(7);
    let name = if alone {
        "MESSAGE_CREATE"
    } else {
        "TYPING_START"
    };
    let body = Event {
        id: id(sequence),
        sequence: Some(sequence),
        guild_id: Some(guild),
        ..Event::default()
    };
    Message {
        routing_key: format!("1.{name}.{guild}.-"),
        body: body.encode_to_vec().into(),
        group: guild,
        batch: (!alone).then_some(Batch {
            count: 16,
            linger: Duration::from_millis(5),
        }),
        ..event(sequence, 8)
    }
}

/// The events in a delivery, which its properties must agree with.
fn events(delivery: &Delivery) -> Result<Vec<Event>> {
    let kind = delivery.properties.kind().as_ref().context("no type")?;
    let message_id = delivery.properties.message_id().as_ref();
    let message_id = message_id.context("no id")?.as_str();
    if kind.as_str() == "gateway.v1.Event" {
        let event = Event::decode(&*delivery.data)?;
        ensure!(event.id == message_id);
        return Ok(vec![event]);
    }
    ensure!(kind.as_str() == "gateway.v1.EventBatch");
    let events = EventBatch::decode(&*delivery.data)?.events;
    ensure!(events.len() > 1);
    ensure!(format!("{}+{}", events[0].id, events.len() - 1) == message_id);
    Ok(events)
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_the_order_of_each_guild_and_wait_for_their_confirms() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "batched", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "batched").await?;
    worker.bind("batched.events", "#").await?;
    worker.close().await?;
    rabbit.settle()?;

    let mut lane = service.broker.lane();
    tokio::try_join!(
        async {
            for sequence in 1..=LAST {
                lane.room().await;
                lane.publish(sequence, message(sequence)).await?;
            }
            lane.confirmed_past(LAST).await;
            Ok(())
        },
        async {
            let confirmed = "gateway_broker_events_confirmed_total";
            service
                .metric_is(confirmed, |count| count > 5_000.0)
                .await?;
            rabbit.kill()?;
            rabbit.restart()
        }
    )?;
    ensure!(lane.confirmed() == LAST);
    ensure!(service.metric("gateway_broker_events_confirmed_total") == LAST as f64);
    ensure!(service.metric("gateway_broker_confirmed_total") < LAST as f64 / 2.0);

    let worker = Worker::connect(&rabbit, "batched").await?;
    let (mut next, mut count) = (BTreeMap::new(), 0);
    let mut wrong = None;
    let taken = worker
        .take_until(|delivery| {
            let events = events(delivery).unwrap_or_default();
            for event in events {
                let (guild, sequence) = (event.guild_id(), event.sequence());
                let due = next.entry(guild).or_insert(match guild {
                    0 => GUILDS,
                    first => first,
                });
                if sequence == *due {
                    *due += GUILDS;
                    count += 1;
                } else if sequence > *due {
                    wrong = Some((*due, sequence));
                }
            }
            count == LAST || wrong.is_some()
        })
        .await;
    taken.with_context(|| format!("{count} events; of each guild is due: {next:?}"))?;
    ensure!(wrong.is_none(), "expected and came: {wrong:?}");
    drop(lane);
    service.stop().await?;
    worker.close().await
}
