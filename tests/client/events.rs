//! Events arrive in serenity's types or in ours, once each, whatever happens to the broker.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use discord_gateway_client::{
    Event, Options,
    serenity::model::{event::Event as Serenity, id::GuildId},
    wire::gateway::v1::{Shard, event::Data},
};
use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
use serde_json::json;
use tests::rabbitmq::Rabbit;
use tokio::{sync::Notify, time};

use super::{Notes, Noting, WINDOW, connected, event, message, next, options, publish, within};
use crate::broker::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_serenitys_and_others_as_ours() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut consumer = connected(options(rabbit, "typed")).await?;
    let service = Service::start(rabbit.url(), "typed", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, message(1)).await?;
    let incomplete = json!({"id": "5", "guild_id": "3", "content": "hi"});
    lane.publish(2, event(2, "MESSAGE_CREATE", 3, &incomplete))
        .await?;
    lane.publish(
        3,
        event(3, "OF_TOMORROW", 3, &json!({"guild_id": "3", "new": 1})),
    )
    .await?;

    let first = next(&mut consumer).await?;
    let Event::Serenity(found) = &first.event else {
        anyhow::bail!("{first:?}");
    };
    let Serenity::MessageCreate(found) = &**found else {
        anyhow::bail!("{found:?}");
    };
    ensure!(found.message.content == "1" && found.message.author.name == "ann");
    let envelope = &first.envelope;
    ensure!((envelope.id.as_str(), envelope.name.as_str()) == ("session:1", "MESSAGE_CREATE"));
    ensure!(envelope.shard == Some(Shard { id: 2, count: 3 }) && envelope.sequence == Some(1));
    ensure!(envelope.guild_id == Some(GuildId::new(101)) && envelope.user_id.is_some());
    ensure!(first.wire()?.guild_id == Some(101) && !first.redelivered());
    first.ack().await?;

    let second = next(&mut consumer).await?;
    let Event::Wire(found) = &second.event else {
        anyhow::bail!("serenity needs an author: {second:?}");
    };
    let Some(Data::MessageCreate(found)) = &found.data else {
        anyhow::bail!("{found:?}");
    };
    ensure!(found.content() == "hi");
    second.ack().await?;

    let third = next(&mut consumer).await?;
    let Event::Wire(found) = &third.event else {
        anyhow::bail!("nobody knows it: {third:?}");
    };
    ensure!(found.json.contains("new") && third.envelope.guild_id == Some(GuildId::new(3)));
    third.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_handled_twice_when_the_broker_restarts() -> Result<()> {
    const LAST: u64 = 4_000;
    let mut rabbit = Rabbit::start()?;
    let options = options(&rabbit, "through").drop_duplicates(LAST as usize);
    let consumer = connected(options).await?;
    let service = Service::start(rabbit.url(), "through", WINDOW);
    service.ready().await?;
    let (notes, mut lane) = (Notes::default(), service.broker.lane());
    let stop = Notify::new();
    let handler = Noting(notes.clone());
    let (_, result) = tokio::join!(consumer.run(handler, stop.notified()), async {
        let work = async {
            tokio::try_join!(publish(&mut lane, 1..=LAST), async {
                notes.reach(1_000).await?;
                rabbit.kill()?;
                service.not_ready().await?;
                rabbit.restart()
            })?;
            lane.confirmed_past(LAST).await;
            notes.reach(LAST as usize).await
        };
        let result = work.await;
        stop.notify_one();
        result
    });
    result?;

    let notes = notes.list().clone();
    ensure!(notes.len() == LAST as usize, "{} were handled", notes.len());
    let mut guilds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for sequence in notes {
        guilds.entry(sequence % 10).or_default().push(sequence);
    }
    for (guild, sequences) in guilds {
        ensure!(
            sequences.is_sorted(),
            "guild {guild} got its events in disorder"
        );
    }
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_settled_comes_again_and_what_was_is_dropped() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut consumer = connected(options(rabbit, "again").drop_duplicates(10)).await?;
    let service = Service::start(rabbit.url(), "again", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, message(1)).await?;
    drop(next(&mut consumer).await?);
    let again = next(&mut consumer).await?;
    ensure!(again.redelivered() && again.envelope.id == "session:1");
    again.ack().await?;

    // The gateway publishes an event again when it cannot know that it was taken.
    lane.publish(2, message(1)).await?;
    lane.publish(3, message(2)).await?;
    let next = next(&mut consumer).await?;
    ensure!(next.envelope.id == "session:2", "{}", next.envelope.id);
    next.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_queue_goes_with_its_consumer() -> Result<()> {
    let rabbit = Rabbit::shared();
    let consumer = connected(options(rabbit, "passing").temporary()).await?;
    consumer.close().await;
    within("the end of the queue", gone(rabbit, "passing")).await??;
    let service = Service::start(rabbit.url(), "passing", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, message(1)).await?;
    lane.confirmed_past(1).await;
    let mut consumer = connected(options(rabbit, "passing").temporary()).await?;
    lane.publish(2, message(2)).await?;
    let next = next(&mut consumer).await?;
    ensure!(
        next.envelope.id == "session:2",
        "the first had no queue to wait in"
    );
    next.ack().await?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}

/// Returns when there is no such queue any more.
async fn gone(rabbit: &Rabbit, queue: &str) -> Result<()> {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&rabbit.url(), properties).await?;
    loop {
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let channel = connection.create_channel().await?;
        let arguments = FieldTable::default();
        let found = channel
            .queue_declare(queue.into(), options, arguments)
            .await;
        if found.is_err() {
            return Ok(connection.close(200, "done".into()).await?);
        }
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_has_made_is_used_as_it_is() -> Result<()> {
    let rabbit = Rabbit::shared();
    let operator = connected(options(rabbit, "given")).await?;
    operator.close().await;
    rabbit.ctl(&["add_user", "given", "secret"])?;
    rabbit.ctl(&["set_permissions", "given", "^$", "^$", "^given$"])?;
    let url = rabbit.url_as("given", "secret");
    let given = Options::new(url, "given").prefix("given").bind("#");
    let mut consumer = connected(given).await?;
    let service = Service::start(rabbit.url(), "given", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, message(1)).await?;
    let found = next(&mut consumer).await?;
    // There is no right to the dead-letter exchange: the event leaves the queue all the same.
    within("the end of the event", found.dead_letter("of no use")).await??;
    lane.publish(2, message(2)).await?;
    let found = next(&mut consumer).await?;
    ensure!(found.envelope.id == "session:2");
    found.ack().await.context("this consumer is still there")?;
    consumer.close().await;
    drop(lane);
    service.stop().await
}
