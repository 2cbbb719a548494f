//! Several applications in one process: one that cannot go on leaves the others alone.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sim::{Config, State};
use tests::service::{Service, gateway_ws};
use tokio::time::{self, Duration, Instant};

use super::stage::{PATIENCE, Stage};

/// Presences of two applications.
const IDLE: &str = r#"{"status":"idle"}"#;
const BUSY: &str = r#"{"status":"dnd","activities":[{"name":"chess","type":0}]}"#;

/// Starts a process with applications of these tokens and presences, all for the simulator's Discord.
fn start(stage: &Stage, applications: &[(&str, &str)]) -> Result<Service> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.toml");
    let mut text = format!("discord_api_url = {:?}\n", stage.sim.api_url());
    text += "broker_type = \"stdio\"\nadmin_address = \"127.0.0.1:0\"\n";
    for (token, presence) in applications {
        text += &format!("[[applications]]\ntoken = {token:?}\nintents = \"GUILDS\"\n");
        text += &format!("presence = {presence:?}\n");
    }
    std::fs::write(&file, text)?;
    let arguments = ["--config", &*file.to_string_lossy()];
    let service = Service::start(gateway_ws()?, &[("NO_COLOR", "1")], &arguments)?;
    // The process reads the file before it does anything else.
    let folder = folder.keep();
    let started = Instant::now();
    while !service.log().contains("the service starts") && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::remove_dir_all(folder)?;
    Ok(service)
}

async fn stage() -> Result<Stage> {
    Stage::new(Config {
        guilds: 3,
        ..Config::default()
    })
    .await
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

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_ends_its_own_application_alone() -> Result<()> {
    let stage = stage().await?;
    let service = start(
        &stage,
        &[("wrong.token.0123456789", IDLE), ("sim.token", BUSY)],
    )?;
    let ready = State::is_ready;
    stage.sim.wait_for("the other one", PATIENCE, ready).await?;
    says(
        &service,
        "readyz",
        &["shards of applications[0]", "refused the bot token"],
    )
    .await?;
    let refused = r#"gateway_ws_refused_total{application="0",reason="token"} 1"#;
    let failed = "gateway_ws_application_failed";
    says(&service, "metrics", &[refused, failed]).await?;
    let log = service.log();
    ensure!(
        log.contains("an application was given up; the others go on"),
        "{log}"
    );
    stage.emit(100).await?;
    stage.everything_written(&service).await?;
    let ended = service.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    ensure!(!ended.log.contains("wrong.token"), "{}", ended.log);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_none_is_left_the_process_ends() -> Result<()> {
    let stage = stage().await?;
    let ended = start(&stage, &[("wrong.token.1", IDLE), ("wrong.token.2", BUSY)])?.finish()?;
    ensure!(ended.status.code() == Some(1), "{}", ended.log);
    let given_up = ended.log.matches("an application was given up").count();
    ensure!(given_up == 2, "{}", ended.log);
    ensure!(stage.sim.state().connections == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_application_has_the_presence_that_it_was_given() -> Result<()> {
    let stage = stage().await?;
    let service = start(&stage, &[("wrong.token.1", IDLE), ("sim.token", BUSY)])?;
    let ready = State::is_ready;
    stage.sim.wait_for("a session", PATIENCE, ready).await?;
    let presence = presence(&stage)?;
    ensure!(presence["status"] == "dnd", "{presence}");
    ensure!(presence["activities"][0]["name"] == "chess", "{presence}");
    service.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_has_its_presence_from_the_first_moment() -> Result<()> {
    let mut stage = stage().await?;
    stage.set("DISCORD_PRESENCE", BUSY);
    let service = stage.start_ready().await?;
    let presence = presence(&stage)?;
    ensure!(presence["status"] == "dnd", "{presence}");
    ensure!(presence["activities"][0]["type"] == 0, "{presence}");
    service.terminate()?;
    stage.rules_kept()
}

/// What the only session's Identify said.
fn presence(stage: &Stage) -> Result<Value> {
    let [session] = &stage.sim.state().sessions[..] else {
        bail!("there is one session");
    };
    session.presence.clone().context("no presence")
}
