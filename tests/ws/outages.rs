//! What Discord takes away from a running service, and an outage of Discord itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use sim::{Config, State, Times};
use tests::service::{Ended, Service};
use tokio::time::{self, Instant};

use super::stage::{PATIENCE, Stage};

fn two_shards() -> Config {
    Config {
        shards: 2,
        max_concurrency: 2,
        guilds: 6,
        ..Config::default()
    }
}

/// Changes settings of a Discord that two shards are connected to, which ends the service: with
/// words for the operator, and without one more connection.
async fn ended_by(settings: Value, words: &[&str]) -> Result<Ended> {
    let stage = Stage::new(two_shards()).await?;
    let service = stage.start_ready().await?;
    let nothing = Map::new();
    let settings = settings.as_object().unwrap_or(&nothing);
    stage.sim.change_settings(settings)?;
    let ended = service.finish()?;
    ensure!(ended.status.code() == Some(1), "{}", ended.log);
    for word in words {
        ensure!(ended.log.contains(word), "no {word} in\n{}", ended.log);
    }
    let state = stage.sim.state();
    ensure!(state.connections == 2, "it connected again\n{}", ended.log);
    ensure!(state.identifies == 2, "{}", state.identifies);
    let refused = |line: &&String| line.contains("SHARD_REASON_REFUSED");
    let told = ended.output.iter().filter(refused).count();
    ensure!(told == 2, "{told} shards were said to be refused");
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privileged_intent_that_is_taken_away_is_named_and_nothing_connects_again() -> Result<()>
{
    let message_content = 1 << 15;
    let settings = json!({"allowed_intents": 53_608_447 & !message_content});
    let words = [
        "close code 4014",
        "may not use MESSAGE_CONTENT;",
        "Privileged Gateway Intents",
        "out of DISCORD_INTENTS",
    ];
    ended_by(settings, &words).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_reset_stops_all_shards_at_once() -> Result<()> {
    let words = ["close code 4004", "it was reset", "DISCORD_TOKEN"];
    let ended = ended_by(json!({"token": "another.token"}), &words).await?;
    ensure!(!ended.log.contains("sim.token"), "{}", ended.log);
    Ok(())
}

/// Waits until a page says so.
async fn says(service: &Service, page: &str, wanted: &[&str]) -> Result<()> {
    let url = format!("{}/{page}", service.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = reqwest::get(&url).await?.text().await?;
        if wanted.iter().all(|word| text.contains(word)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{text}\n{}", service.log());
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// Checks that an outage was said once when it began, and once when it was over.
fn said_once(log: &str, what: &str) -> Result<()> {
    for words in ["an outage of Discord:", "the outage of Discord is over"] {
        let line = |line: &&str| line.contains(words) && line.contains(what);
        let count = log.lines().filter(line).count();
        ensure!(count == 1, "{count} times {words:?} of {what} in\n{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_while_cloudflare_answers_for_discord() -> Result<()> {
    // Without a store each process believes that nobody has identified before.
    let stage = Stage::new(Config {
        guilds: 3,
        identify_window_ms: 100,
        ..Config::default()
    })
    .await?;
    for status in [502, 429, 403] {
        let before = stage.sim.state().connections;
        stage.sim.change_faults(|faults| {
            faults.rest_status = Some(status);
            faults.rest_html = true;
        });
        let service = stage.start()?;
        let outage = r#"gateway_ws_outage{application="0",what="rest"} 1"#;
        says(&service, "metrics", &[outage]).await?;
        says(&service, "readyz", &["cannot ask Discord for the gateway"]).await?;
        ensure!(stage.sim.state().connections == before);
        ensure!(!service.log().contains("<html"), "{}", service.log());
        stage.sim.change_faults(|faults| faults.rest_status = None);
        let all = || Ok(stage.sim.is_ready() && stage.sim.state().connections > before);
        service.until("the shard", all).await?;
        let ended = service.terminate()?;
        ensure!(ended.status.success(), "{}", ended.log);
        said_once(&ended.log, "rest")?;
    }
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_stay_connected_and_resume_while_the_http_api_is_away() -> Result<()> {
    let mut stage = Stage::new(two_shards()).await?;
    stage.set("WS_RESHARD_INTERVAL", "1s");
    let service = stage.start_ready().await?;
    stage.sim.change_faults(|faults| {
        faults.rest_status = Some(503);
        faults.rest_html = true;
    });
    let away = || Ok(service.log().contains("an outage of Discord:"));
    service.until("the outage", away).await?;
    stage.emit(200).await?;
    stage.sim.drop_connections(None)?;
    let resumed = |state: &State| state.resumes == 2 && state.is_ready();
    stage.sim.wait_for("resumes", PATIENCE, resumed).await?;
    stage.emit(200).await?;
    stage.everything_written(&service).await?;
    says(&service, "readyz", &["\"ready\":true"]).await?;
    stage.sim.change_faults(|faults| faults.rest_status = None);
    let over = || Ok(service.log().contains("the outage of Discord is over"));
    service.until("its end", over).await?;
    let ended = service.terminate()?;
    said_once(&ended.log, "rest")?;
    ensure!(stage.sim.state().identifies == 2);
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_gateway_is_waited_out_and_the_session_resumed() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    stage
        .sim
        .change_faults(|faults| faults.refuse_connections = Times::Always);
    stage.sim.drop_connections(None)?;
    let away = || Ok(service.log().contains("an outage of Discord:"));
    service.until("the outage", away).await?;
    says(&service, "readyz", &["0 of 1 shards connected"]).await?;
    says(&service, "metrics", &[r#"what="gateway"} 1"#]).await?;
    stage
        .sim
        .change_faults(|faults| faults.refuse_connections = Times::Never);
    let resumed = |state: &State| state.resumes == 1;
    stage.sim.wait_for("a resume", PATIENCE, resumed).await?;
    stage.emit(100).await?;
    stage.everything_written(&service).await?;
    let ended = service.terminate().context("its end")?;
    said_once(&ended.log, "gateway")?;
    ensure!(stage.sim.state().identifies == 1);
    stage.rules_kept()
}
