//! Several applications in one process: one that cannot go on leaves the others alone.

use anyhow::{Result, ensure};
use prost::Message as _;
use sim::RestConfig;
use tests::rabbitmq::Rabbit;
use wire::gateway::v1::Code;

use super::stage::{Stage, Worker, has, until};

/// An application whose token Discord does not take, which shows with its first request.
const REFUSED: u64 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_stops_its_own_application_alone() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "api-applications");
    let mut stage = Stage::over(rabbit, prefix, RestConfig::default()).await?;
    stage.unset("DISCORD_TOKEN");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.toml");
    let mut text = "[[applications]]\ntoken = \"wrong.token.1\"\n".to_owned();
    text +=
        &format!("[[applications]]\ntoken = \"wrong.token.2\"\napplication_id = \"{REFUSED}\"\n");
    text += "[[applications]]\ntoken = \"sim.token\"\n";
    std::fs::write(&file, text)?;
    let service = stage.spawn(&["--config", &file.to_string_lossy()])?;
    // The first one is found out when Discord is asked who it is; requests to the others are taken.
    let up = |text: &str, id| text.contains(&format!("requests of application {id}\":\"up"));
    until(&service, "/readyz", |text| {
        let refused = text.contains("applications[0]\":\"Discord refused");
        refused && up(text, REFUSED) && up(text, stage.application_id)
    })
    .await?;
    let mut good = Worker::connect(rabbit, prefix, &stage).await?;
    let mut refused = Worker::of(rabbit, prefix, REFUSED).await?;
    let get = stage.get().encode_to_vec();
    for _ in 0..2 {
        let error = refused.ask("api.Call", &get).await?.error()?;
        ensure!(error.code() == Code::Unauthenticated, "{error:?}");
    }
    let id = stage.application_id;
    until(&service, "/metrics", |text| {
        has(
            text,
            &format!("token_refused{{application=\"{REFUSED}\"}}"),
            "1",
        ) && has(text, &format!("token_refused{{application=\"{id}\"}}"), "0")
    })
    .await?;
    ensure!(good.call(&stage.get()).await?.status == 200);
    refused.close().await?;
    good.close().await?;
    let ended = service.terminate()?;
    ensure!(ended.log.contains("the others go on"), "{}", ended.log);
    ensure!(!ended.log.contains("wrong.token"), "{}", ended.log);
    Ok(())
}
