//! Every event of Discord's, over the whole way: from the simulated Discord to a real queue.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use lapin::message::Delivery;
use serde_json::Value as Json;
use sim::{Config, Dispatch};
use tests::rabbitmq::Rabbit;
use transcode::{Scratch, Transcoder};
use wire::gateway::v1::Source;

use super::system::{stage, start_bound};
use crate::broker::service::Worker;
use crate::golden::{Golden, goldens};

/// The simulator says these by itself, at the beginning of a connection.
const OF_THE_CONNECTION: [&str; 2] = ["READY", "RESUMED"];

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_under_its_key_and_turns_back_into_what_discord_sent() -> Result<()> {
    let prefix = "every-event";
    let rabbit = Rabbit::shared();
    let stage = stage(rabbit, Config::default(), prefix).await?;
    let service = start_bound(&stage, rabbit, prefix).await?;
    let mut expected: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    let application = stage.sim.settings().application_id.to_string();
    let mut count = 0;
    for golden in goldens().into_iter().filter(can_be_dispatched) {
        stage.sim.dispatch(&Dispatch {
            name: golden.name().to_owned(),
            data: golden.json.clone(),
            shard: Some(0),
            force: true,
            ..Dispatch::default()
        })?;
        let (_, key) = golden.pinned_key.split_once('.').context("a key")?;
        let payload = serde_json::from_str(&golden.json)?;
        let payloads = expected.entry(format!("{application}.{key}")).or_default();
        payloads.push(payload);
        count += 1;
    }
    ensure!(count > 100, "there are only {count} golden events");

    let transcoder = Transcoder::new();
    let mut arrive = |delivery: &Delivery| -> Result<bool> {
        if delivery.routing_key.as_str().contains(".GATEWAY_") {
            return Ok(false);
        }
        let mut scratch = Scratch::default();
        let found = transcoder.payload(&delivery.data, &mut scratch)?;
        let key = delivery.routing_key.as_str();
        let found: Json = serde_json::from_str(found.json)?;
        // What the simulator says by itself may have the same key.
        if let Some(payloads) = expected.get_mut(key) {
            payloads.retain(|payload| *payload != found);
        }
        expected.retain(|_, payloads| !payloads.is_empty());
        Ok(expected.is_empty())
    };
    let mut wrong = Ok(());
    let worker = Worker::connect(rabbit, prefix).await?;
    let taken = worker
        .take_until(|delivery| {
            arrive(delivery).unwrap_or_else(|error| {
                wrong = Err(error);
                true
            })
        })
        .await;
    worker.close().await?;
    wrong?;
    taken.with_context(|| format!("these did not arrive: {:#?}", expected.keys()))?;
    service.terminate()?;
    stage.rules_kept()
}

fn can_be_dispatched(golden: &Golden) -> bool {
    golden.source == Source::Ws && !OF_THE_CONNECTION.contains(&golden.name())
}
