//! The whole way: Discord, `gateway-ws`, a real RabbitMQ, and a queue at its end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lapin::message::Delivery;
use prost::Message as _;
use sim::{Config, EmitRequest, State};
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time::{self, Instant};
use wire::gateway::v1::{Event, Source};

use super::stage::{PATIENCE, Stage, saved_in};
use crate::broker::service::Worker;

const MIB: u64 = 1024 * 1024;

/// A stage whose services publish to this node.
pub(crate) async fn stage(rabbit: &Rabbit, config: Config, prefix: &str) -> Result<Stage> {
    let mut stage = Stage::new(config).await?;
    stage.set("BROKER_TYPE", "amqp");
    stage.set("AMQP_URL", &rabbit.url());
    stage.set("AMQP_PREFIX", prefix);
    Ok(stage)
}

/// Starts a service and binds a queue to its exchange before the first event can come.
pub(crate) async fn start_bound(stage: &Stage, rabbit: &Rabbit, prefix: &str) -> Result<Service> {
    stage
        .sim
        .change_faults(|faults| faults.rest_status = Some(503));
    let service = stage.start()?;
    let connected = || Ok(service.log().contains("check=\"broker\""));
    service.until("the broker", connected).await?;
    let worker = Worker::connect(rabbit, prefix).await?;
    worker.bind(&format!("{prefix}.events"), "#").await?;
    worker.close().await?;
    stage.sim.change_faults(|faults| faults.rest_status = None);
    stage.ready(&service).await?;
    Ok(service)
}

/// Takes messages from the queue until every event that was dispatched has come. Checks that each of them
/// is a whole event, and that the first occurrences of each session's events are in order. Returns
/// how many came twice.
pub(crate) async fn take_everything(stage: &Stage, rabbit: &Rabbit, prefix: &str) -> Result<usize> {
    let mut missing = stage.dispatched();
    let count = missing.len();
    let mut wrong = None;
    let mut newest = BTreeMap::new();
    let mut own = 0;
    let mut look = |delivery: &Delivery| -> Result<usize> {
        let event = Event::decode(delivery.data.as_slice())?;
        if event.source() == Source::Gateway {
            own += 1;
            return Ok(missing.len());
        }
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .context("an id")?
            .to_string();
        ensure!(event.id == id, "{} travels as {id}", event.id);
        let (session, sequence) = id.rsplit_once(':').context("session and sequence")?;
        let sequence: u64 = sequence.parse()?;
        let last: &mut u64 = newest.entry(session.to_owned()).or_default();
        ensure!(sequence <= *last + 1, "{id} came behind {last}");
        *last = sequence.max(*last);
        missing.remove(&id);
        Ok(missing.len())
    };
    let worker = Worker::connect(rabbit, prefix).await?;
    let whole = |delivery: &Delivery| match look(delivery) {
        Ok(missing) => missing == 0,
        Err(error) => {
            wrong = Some(error);
            true
        }
    };
    let taken = worker.take_until(whole).await?;
    worker.close().await?;
    match wrong {
        Some(error) => Err(error),
        None => Ok(taken.len() - own - count),
    }
}

fn endless(rate: f64) -> EmitRequest {
    EmitRequest {
        rate: Some(rate),
        ..EmitRequest::default()
    }
}

/// Waits until `/readyz` answers as wanted.
async fn ready_is(service: &Service, wanted: impl Fn(u16, &str) -> bool) -> Result<()> {
    let url = format!("{}/readyz", service.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(&url).await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        if wanted(status, &text) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{status}: {text}");
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_of_the_service_in_the_middle_loses_nothing() -> Result<()> {
    let rabbit = Rabbit::shared();
    let folder = tempfile::tempdir()?;
    let config = Config {
        shards: 2,
        max_concurrency: 2,
        guilds: 6,
        ..Config::default()
    };
    let mut stage = stage(rabbit, config, "sigkill").await?;
    stage.set(
        "WS_SESSION_FILE",
        &folder.path().join("sessions.json").to_string_lossy(),
    );
    let mut service = start_bound(&stage, rabbit, "sigkill").await?;
    saved_in(&service, &folder.path().join("sessions.json"), 2).await?;
    stage.sim.start_emission(endless(2_000.0))?;
    for round in 1..=3 {
        let before = stage.sim.state().generated;
        let more = |state: &State| state.generated > before + 2_000;
        stage.sim.wait_for("events", PATIENCE, more).await?;
        service.kill()?;
        service = stage.start()?;
        let resumed = |state: &State| state.resumes == round * 2;
        stage
            .sim
            .wait_for("both sessions resumed", PATIENCE, resumed)
            .await?;
    }
    stage.sim.stop_emission().await;
    take_everything(&stage, rabbit, "sigkill").await?;
    ensure!(
        stage.sim.state().identifies == 2,
        "a session was thrown away"
    );
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_in_the_middle_loses_nothing() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let config = Config {
        shards: 2,
        max_concurrency: 2,
        guilds: 6,
        ..Config::default()
    };
    let stage = stage(&rabbit, config, "restart").await?;
    let service = start_bound(&stage, &rabbit, "restart").await?;
    stage.sim.start_emission(endless(1_000.0))?;
    for gently in [true, false] {
        let before = stage.sim.state().generated;
        let more = |state: &State| state.generated > before + 1_500;
        stage.sim.wait_for("events", PATIENCE, more).await?;
        if gently {
            rabbit.stop()?
        } else {
            rabbit.kill()?
        }
        let away = stage.sim.state().generated;
        let meanwhile = |state: &State| state.generated > away + 1_500;
        stage
            .sim
            .wait_for("events while the broker is away", PATIENCE, meanwhile)
            .await?;
        rabbit.restart()?;
    }
    stage.sim.stop_emission().await;
    take_everything(&stage, &rabbit, "restart").await?;
    ensure!(
        stage.sim.state().identifies == 2,
        "a session was thrown away"
    );
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_no_more_memory_than_the_window() -> Result<()> {
    let rabbit = Rabbit::start()?;
    let mut stage = stage(
        &rabbit,
        Config {
            guilds: 6,
            ..Config::default()
        },
        "hangs",
    )
    .await?;
    stage.set("AMQP_WINDOW", "32MiB");
    stage.set("WS_STALL_TIMEOUT", "1s");
    let service = start_bound(&stage, &rabbit, "hangs").await?;
    // What a run at full speed takes anyhow is there before the measurement.
    stage.emit(5_000).await?;
    let before = service.resident()?;
    rabbit.pause()?;
    stage.sim.start_emission(EmitRequest::default())?;
    let stalled = || Ok(service.log().contains("the broker takes no events"));
    service
        .until("the pause of the connection", stalled)
        .await?;
    let grown = service.resident()?.saturating_sub(before);
    stage.sim.stop_emission().await;
    rabbit.resume()?;
    ensure!(grown <= 32 * MIB, "grew by {} KiB", grown / 1024);
    take_everything(&stage, &rabbit, "hangs").await?;
    ensure!(
        stage.sim.state().identifies == 1,
        "a session was thrown away"
    );
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_but_not_confirmed_is_not_behind_us() -> Result<()> {
    let rabbit = Rabbit::start()?;
    let folder = tempfile::tempdir()?;
    let config = Config {
        guilds: 6,
        ..Config::default()
    };
    let mut stage = stage(&rabbit, config, "unconfirmed").await?;
    stage.set("WS_STALL_TIMEOUT", "1s");
    stage.set(
        "WS_SESSION_FILE",
        &folder.path().join("sessions.json").to_string_lossy(),
    );
    let first = start_bound(&stage, &rabbit, "unconfirmed").await?;
    saved_in(&first, &folder.path().join("sessions.json"), 1).await?;
    rabbit.pause()?;
    stage.sim.start_emission(EmitRequest::default())?;
    let stalled = || Ok(first.log().contains("the broker takes no events"));
    first.until("a full window", stalled).await?;
    // A span in which the service saves its sequence some times; it must not have moved.
    time::sleep(Duration::from_secs(2)).await;
    first.kill()?;
    stage.sim.stop_emission().await;
    rabbit.resume()?;
    let second = stage.start()?;
    take_everything(&stage, &rabbit, "unconfirmed").await?;
    ensure!(
        stage.sim.state().identifies == 1,
        "a session was thrown away"
    );
    second.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_at_the_start_is_waited_for() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    rabbit.stop()?;
    let stage = stage(
        &rabbit,
        Config {
            guilds: 3,
            ..Config::default()
        },
        "late",
    )
    .await?;
    let service = stage.start()?;
    let away = |status, text: &str| status == 503 && text.contains("cannot reach RabbitMQ");
    ready_is(&service, away).await?;
    rabbit.restart()?;
    ready_is(&service, |status, _| status == 200).await?;
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_broker_is_away_ends_with_the_grace_time_and_keeps_the_session()
-> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let folder = tempfile::tempdir()?;
    let config = Config {
        guilds: 3,
        ..Config::default()
    };
    let mut stage = stage(&rabbit, config, "stopped").await?;
    let file = folder.path().join("sessions.json");
    stage.set("WS_SESSION_FILE", &file.to_string_lossy());
    stage.set("SHUTDOWN_GRACE", "2s");
    let service = start_bound(&stage, &rabbit, "stopped").await?;
    rabbit.settle()?;
    stage.sim.start_emission(endless(300.0))?;
    saved_in(&service, &file, 1).await?;
    rabbit.kill()?;
    let before = stage.sim.state().generated;
    let more = |state: &State| state.generated > before + 300;
    stage.sim.wait_for("events", PATIENCE, more).await?;
    // Neither the last events nor the word that the shard has stopped can be published.
    let ended = service.terminate()?;
    let aborted = "tasks had to be aborted at the end of the grace time";
    ensure!(ended.log.contains(aborted), "{}", ended.log);
    ensure!(ended.log.contains("grace=2s"), "{}", ended.log);
    rabbit.restart()?;
    let service = stage.start()?;
    let resumed = |state: &State| state.resumes == 1 && state.is_ready();
    stage.sim.wait_for("a resume", PATIENCE, resumed).await?;
    stage.sim.stop_emission().await;
    take_everything(&stage, &rabbit, "stopped").await?;
    ensure!(stage.sim.state().identifies == 1, "a session was lost");
    service.terminate()?;
    stage.rules_kept()
}
