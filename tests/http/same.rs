//! To a worker an interaction is one and the same thing, whichever way it came.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use lapin::{BasicProperties, types::AMQPValue};
use prost::Message as _;
use sim::{Dispatch, Interact};
use tests::{
    interactions::{Stage, Worker},
    rabbitmq::Rabbit,
};
use wire::gateway::v1::{Event, Source};

/// Where an event comes from, and what it is but for that.
fn bare(body: &[u8]) -> Result<(Source, Vec<u8>)> {
    let mut event = Event::decode(body)?;
    let source = event.source();
    event.id.clear();
    event.source = 0;
    (event.shard, event.sequence, event.received_at) = (None, None, None);
    Ok((source, event.encode_to_vec()))
}

fn header(properties: &BasicProperties, name: &str) -> Option<AMQPValue> {
    properties.headers().as_ref()?.inner().get(name).cloned()
}

/// Whether the properties are the same, but for where an event comes from.
fn alike(mine: &BasicProperties, theirs: &BasicProperties) -> Result<()> {
    ensure!(mine.kind() == theirs.kind() && mine.app_id() == theirs.app_id());
    ensure!(mine.content_type() == theirs.content_type());
    ensure!(mine.delivery_mode() == theirs.delivery_mode());
    let id = mine.message_id().as_ref().map(ToString::to_string);
    ensure!(id.as_deref() == Some("1234567890123456789"));
    ensure!(mine.correlation_id() == mine.message_id());
    ensure!(mine.correlation_id() == theirs.correlation_id());
    ensure!(mine.priority() == theirs.priority() && mine.expiration() == theirs.expiration());
    ensure!(mine.reply_to().is_some() && theirs.reply_to().is_some());
    for properties in [mine, theirs] {
        let (deadline, timestamp) = (header(properties, "deadline"), properties.timestamp());
        let Some(AMQPValue::LongLongInt(deadline)) = deadline else {
            anyhow::bail!("{properties:?}");
        };
        let since = i64::try_from(timestamp.unwrap_or_default())? * 1000;
        ensure!((0..5000).contains(&(deadline - since)), "{properties:?}");
    }
    ensure!(header(mine, "event") == header(theirs, "event"));
    let names = |properties: &BasicProperties| {
        let headers = properties.headers().clone().unwrap_or_default();
        let names = headers.inner().keys().map(ToString::to_string);
        names.collect::<BTreeSet<_>>()
    };
    let more = BTreeSet::from(["sequence".to_owned(), "shard".to_owned()]);
    ensure!(&names(mine) | &more == names(theirs), "{theirs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interaction_is_the_same_event_by_http_and_by_websocket() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, "same-http").await?;
    stage.set("EVENT_PAYLOAD", "both");
    stage.set("INTERACTION_REPLIES", "true");
    let ws = stage.ws().await?;
    let (http, url) = stage.http().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let (id, guild) = (stage.application_id, stage.sim.guild_ids()[0]);
    let text = format!(
        r#"{{"id":"1234567890123456789","application_id":"{id}","type":2,"token":"a token","guild_id":"{guild}",
        "channel_id":"81384788765712384","member":{{"user":{{"id":"42","username":"x","avatar":null}},"roles":[]}},
        "data":{{"id":"5","name":"play","type":1,"options":[{{"name":"now","type":1,"options":[]}}]}},
        "of_tomorrow":{{"a":[1,2.50,"ü"]}},"entitlements":[],"locale":null}}"#
    );
    let order = Interact {
        url,
        text: Some(text.clone()),
        ..Interact::default()
    };
    let sent = stage.sim.interact(&order).await?;
    ensure!(sent[0].status == Some(200), "{sent:?}");
    let event = Dispatch {
        name: "INTERACTION_CREATE".to_owned(),
        data: text,
        ..Dispatch::default()
    };
    ensure!(stage.sim.dispatch(&event)? == 1);
    let mut seen = worker.has(2).await?;
    seen.sort_by_key(|it| header(&it.properties, "shard").is_some());
    let (by_http, by_ws) = (&seen[0], &seen[1]);
    ensure!(
        by_http.routing_key == by_ws.routing_key,
        "{}",
        by_http.routing_key
    );
    ensure!(by_http.routing_key.ends_with(".command.play.now"));
    let ((http_source, http_body), (ws_source, ws_body)) =
        (bare(&by_http.body)?, bare(&by_ws.body)?);
    ensure!((http_source, ws_source) == (Source::Http, Source::Ws));
    ensure!(http_body == ws_body);
    alike(&by_http.properties, &by_ws.properties)?;
    worker.close().await?;
    ws.terminate()?;
    http.terminate()?;
    stage.rules_kept()
}
