//! Sessions over disconnects, restarts and crashes: resumed, and nothing lost.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use sim::{Config, EmitRequest, Times};
use tests::{redis::Redis, service::Service};
use tokio::time::{self, Instant};

use super::stage::{PATIENCE, Stage, ids, saved_in};

/// Lets something happen to the connection, and waits until the session was resumed and every
/// event arrived.
async fn resumes_after(stage: &Stage, service: &Service, what: &str) -> Result<()> {
    let before = stage.sim.state();
    stage.emit(200).await?;
    let wanted = format!("a resume after {what}");
    let state = stage
        .sim
        .wait_for(&wanted, PATIENCE, |state| state.resumes > before.resumes)
        .await?;
    ensure!(state.identifies == before.identifies, "{what}");
    stage.emit(200).await?;
    stage.everything_written(service).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resumable_end_of_a_connection_is_resumed() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    stage.sim.reconnect(None)?;
    resumes_after(&stage, &service, "op 7").await?;
    stage.sim.drop_connections(None)?;
    resumes_after(&stage, &service, "a broken connection").await?;
    stage.sim.invalid(None, true)?;
    resumes_after(&stage, &service, "op 9 true").await?;
    for code in [4000, 4008] {
        stage.sim.close(None, code)?;
        resumes_after(&stage, &service, &format!("close code {code}")).await?;
    }
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_is_identified_anew() -> Result<()> {
    let config = Config {
        guilds: 3,
        identify_window_ms: 100,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let service = stage.start_ready().await?;
    stage.sim.invalid(None, false)?;
    let twice = |state: &sim::State| state.identifies == 2 && state.is_ready();
    stage
        .sim
        .wait_for("a second session", PATIENCE, twice)
        .await?;
    // What a session had not yet sent goes with it, as it cannot be resumed.
    stage.everything_written(&service).await?;
    stage.sim.close(None, 4009)?;
    let thrice = |state: &sim::State| state.identifies == 3 && state.is_ready();
    stage
        .sim
        .wait_for("a third session", PATIENCE, thrice)
        .await?;
    stage.emit(100).await?;
    stage.everything_written(&service).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_answers_no_heartbeat_is_replaced() -> Result<()> {
    let config = Config {
        guilds: 3,
        heartbeat_interval_ms: 300,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let service = stage.start_ready().await?;
    stage
        .sim
        .change_faults(|faults| faults.withhold_acks = true);
    stage
        .sim
        .wait_for("a resume", PATIENCE, |state| state.resumes > 0)
        .await?;
    stage
        .sim
        .change_faults(|faults| faults.withhold_acks = false);
    stage.emit(100).await?;
    stage.everything_written(&service).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_at_once_is_not_flooded() -> Result<()> {
    let stage = Stage::small().await?;
    stage
        .sim
        .change_faults(|faults| faults.close_before_hello = Times::Always);
    let service = stage.start()?;
    stage
        .sim
        .wait_for("a first try", PATIENCE, |state| state.connections > 0)
        .await?;
    // A span, not a wait for luck: the point is how little happens in it.
    time::sleep(Duration::from_secs(5)).await;
    let connections = stage.sim.state().connections;
    ensure!(
        (2..=150).contains(&connections),
        "{connections} connections in 5 s"
    );
    stage
        .sim
        .change_faults(|faults| faults.close_before_hello = Times::Never);
    service
        .until("all shards", || Ok(stage.sim.is_ready()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_leaves_the_session_to_the_next_process() -> Result<()> {
    let mut stage = Stage::small().await?;
    let folder = tempfile::tempdir()?;
    stage.set(
        "WS_SESSION_FILE",
        &folder.path().join("sessions.json").to_string_lossy(),
    );
    let first = stage.start_ready().await?;
    stage.emit(500).await?;
    stage.everything_written(&first).await?;
    let ended = first.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    let closes = stage.sim.state().connection_log;
    ensure!(!format!("{closes:?}").contains("1000"), "{closes:#?}");
    stage.emit(500).await?;
    let second = stage.start()?;
    stage
        .sim
        .wait_for("a resume", PATIENCE, |state| state.resumes == 1)
        .await?;
    stage.emit(500).await?;
    let expected = stage.dispatched();
    let already = ids_of(&ended.output)?;
    let whole = || Ok(already.union(&ids(&second.messages()?)).count() >= expected.len());
    second.until("every event", whole).await?;
    let again: BTreeSet<_> = already
        .intersection(&ids(&second.messages()?))
        .cloned()
        .collect();
    ensure!(again.is_empty(), "{} events came twice", again.len());
    ensure!(stage.sim.state().identifies == 1);
    second.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_for_the_session_that_an_identify_is_to_bring() -> Result<()> {
    let mut stage = Stage::small().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sessions.json");
    stage.set("WS_SESSION_FILE", &file.to_string_lossy());
    stage.sim.change_faults(|faults| faults.delay_ms = 400);
    let first = stage.start()?;
    stage
        .sim
        .wait_for("an identify", PATIENCE, |state| state.identifies == 1)
        .await?;
    let ended = first.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    stage.sim.change_faults(|faults| faults.delay_ms = 0);
    let second = stage.start()?;
    stage
        .sim
        .wait_for("a session", PATIENCE, |state| {
            state.identifies + state.resumes > 1
        })
        .await?;
    ensure!(stage.sim.state().identifies == 1, "{}", ended.log);
    second.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_loses_nothing_whether_sessions_are_in_a_file_or_in_redis() -> Result<()> {
    let redis = Redis::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sessions.json");
    for (name, value) in [
        ("WS_SESSION_FILE", &*file.to_string_lossy()),
        ("REDIS_URL", &redis.url()),
    ] {
        let config = Config {
            shards: 2,
            max_concurrency: 2,
            guilds: 6,
            ..Config::default()
        };
        let mut stage = Stage::new(config).await?;
        stage.set(name, value);
        stage.set("WS_LEASE_TTL", "2s");
        let first = stage.start_ready().await?;
        let endless = EmitRequest {
            rate: Some(1_000.0),
            ..EmitRequest::default()
        };
        stage.sim.start_emission(endless)?;
        let enough = || Ok(first.written() > 3_000);
        first.until("a good deal of events", enough).await?;
        match name {
            "REDIS_URL" => stage.saved(&first, &redis, 2).await?,
            _ => saved_in(&first, &file, 2).await?,
        }
        let mut seen = ids_of(&first.kill()?.output)?;
        let second = stage.start()?;
        let resumed = |state: &sim::State| state.resumes == 2;
        stage
            .sim
            .wait_for("both sessions resumed", PATIENCE, resumed)
            .await?;
        stage.sim.stop_emission().await;
        let expected = stage.dispatched();
        let whole = || {
            seen.extend(ids(&second.messages()?));
            Ok(seen.is_superset(&expected))
        };
        second
            .until("every event that was dispatched", whole)
            .await?;
        ensure!(
            stage.sim.state().identifies == 2,
            "{name}: a session was thrown away"
        );
        second.terminate()?;
        stage.rules_kept()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_redis_and_says_so() -> Result<()> {
    let mut redis = Redis::start()?;
    let mut stage = Stage::small().await?;
    stage.set("REDIS_URL", &redis.url());
    let first = stage.start_ready().await?;
    first.terminate()?;
    redis.kill()?;
    let second = stage.start()?;
    let url = format!("{}/readyz", second.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(&url).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status == 503 && text.contains("cannot load the sessions") {
            break;
        }
        ensure!(Instant::now() < deadline, "{status}: {text}");
        time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(
        stage.sim.state().connections == 1,
        "connected without its sessions"
    );
    redis.restart()?;
    stage
        .sim
        .wait_for("a resume", PATIENCE, |state| state.resumes == 1)
        .await?;
    ensure!(stage.sim.state().identifies == 1);
    second
        .until("readiness", || {
            Ok(second.log().contains("check=\"shards\""))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_away_at_the_start_is_waited_for() -> Result<()> {
    let stage = Stage::small().await?;
    stage
        .sim
        .change_faults(|faults| faults.rest_status = Some(503));
    let service = stage.start()?;
    service
        .until("a try", || Ok(service.log().contains("503")))
        .await?;
    stage.sim.change_faults(|faults| faults.rest_status = None);
    service
        .until("all shards", || Ok(stage.sim.is_ready()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_shows_nowhere() -> Result<()> {
    let mut stage = Stage::small().await?;
    stage.set("LOG", "trace");
    let service = stage.start_ready().await?;
    stage.emit(100).await?;
    stage.everything_written(&service).await?;
    let admin = service.admin().await?;
    let mut shown = String::new();
    for page in ["healthz", "readyz", "metrics"] {
        shown += &reqwest::get(format!("{admin}/{page}"))
            .await?
            .text()
            .await?;
    }
    let ended = service.terminate()?;
    shown += &ended.log;
    shown += &ended.output.join("\n");
    ensure!(!shown.contains("sim.token"), "the token is in the output");
    ensure!(shown.contains("ready"), "there was output to look at");
    Ok(())
}

/// The ids in a service's output.
fn ids_of(output: &[String]) -> Result<BTreeSet<String>> {
    // A line that SIGKILL cut off is no message.
    let whole = output
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(ids(&whole.collect::<Vec<_>>()))
}
