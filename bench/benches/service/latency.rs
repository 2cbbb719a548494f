//! How late events come to a worker.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use sim::EmitRequest;
use tokio::time;

use crate::{
    Place, discord,
    process::{self, Way},
    sink::EXCHANGE,
};

/// Events a second.
const RATE: f64 = 1_000.0;

/// Events of the run.
const EVENTS: u64 = 20_000;

/// How long the next event may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands before the time at which the simulator made an event.
const MARK: &[u8] = b"\"sent_at_us\":";

/// Milliseconds from Discord to a worker at a rate that leaves the machine idle: of half the events, and of
/// 99 of 100.
pub(crate) async fn measure(place: &Place) -> Result<[f64; 2]> {
    let sim = discord(1).await?;
    let process = process::start(Way::Ours, place, &sim).await?;
    let connection = Connection::connect(&place.amqp, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    let queue = channel
        .queue_declare("".into(), options, FieldTable::default())
        .await?;
    let (name, options) = (queue.name().clone(), QueueBindOptions::default());
    let arguments = FieldTable::default();
    channel
        .queue_bind(
            name.clone(),
            EXCHANGE.into(),
            "#".into(),
            options,
            arguments,
        )
        .await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let mut worker = channel
        .basic_consume(name, "".into(), options, FieldTable::default())
        .await?;
    sim.start_emission(EmitRequest {
        count: Some(EVENTS),
        rate: Some(RATE),
        mark: Some(true),
        ..EmitRequest::default()
    })?;
    let mut late = Vec::new();
    while late.len() < EVENTS as usize {
        let next = time::timeout(PATIENCE, worker.next()).await;
        let delivery = next.context("no event came")?.context("the consumer")??;
        if let Some(sent_at) = sent_at(&delivery.data) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            late.push((now.as_micros() as u64).saturating_sub(sent_at));
        }
    }
    late.sort_unstable();
    let percentile = |share: usize| {
        let late = late.get(late.len() * share / 100);
        late.map_or(0.0, |late| *late as f64 / 1000.0)
    };
    process.stop()?;
    connection.close(200, "done".into()).await?;
    sim.stop().await;
    Ok([percentile(50), percentile(99)])
}

/// When the simulator made this event, in microseconds since the Unix epoch.
fn sent_at(body: &[u8]) -> Option<u64> {
    let start = body.windows(MARK.len()).position(|bytes| bytes == MARK)? + MARK.len();
    let digits = body.get(start..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}
