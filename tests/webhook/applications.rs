//! Several applications in one process, none of them with a token.

use anyhow::{Result, ensure};
use tests::rabbitmq::Rabbit;

use super::stage::{ask, free, message, over};
use crate::api::stage::{Worker, until};

/// An application beside the simulated one.
const OTHER: u64 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn each_application_has_its_requests_carried_out_without_a_token() -> Result<()> {
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-applications");
    let mut stage = over(rabbit, prefix, free()).await?;
    stage.unset("DISCORD_APPLICATION_ID");
    let ids = [stage.application_id, OTHER];
    let tables = ids.map(|id| format!("[[applications]]\napplication_id = \"{id}\"\n"));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, tables.concat())?;
    let service = stage.spawn(&["--config", &file.to_string_lossy()])?;
    until(&service, "/readyz", |text| {
        let up = |id| text.contains(&format!("requests of application {id}\":\"up"));
        ids.into_iter().all(up)
    })
    .await?;
    for id in ids {
        let mut worker = Worker::of(rabbit, prefix, id).await?;
        let reply = ask(&mut worker, "Execute", &message(&id.to_string())).await?;
        ensure!(reply.kind.ends_with("Response"), "{:?}", reply.error());
        worker.close().await?;
    }
    ensure!(stage.carried_out().len() == 2);
    // Nobody had to ask who it is.
    let asked = stage.sim.requests().into_iter();
    ensure!(
        asked
            .map(|it| it.path)
            .all(|path| path.starts_with("webhooks/"))
    );
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_alone_discord_is_asked_for_the_id_and_the_token_is_used_no_more() -> Result<()>
{
    let (rabbit, prefix) = (Rabbit::shared(), "webhook-token");
    let mut stage = over(rabbit, prefix, free()).await?;
    stage.unset("DISCORD_APPLICATION_ID");
    stage.set("DISCORD_TOKEN", "sim.token");
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, prefix, &stage).await?;
    let reply = ask(&mut worker, "Execute", &message("n")).await?;
    ensure!(reply.kind.ends_with("Response"), "{:?}", reply.error());
    worker.close().await?;
    let ended = service.terminate()?;
    ensure!(!ended.log.contains("sim.token"), "{}", ended.log);
    stage.rules_kept()
}
