//! What becomes of interactions when processes end.

use anyhow::{Result, ensure};
use sim::InteractionKind as Kind;
use tests::{
    interactions::{
        Worker,
        stage::{SORRY, Stage},
    },
    rabbitmq::Rabbit,
};
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deferred_is_carried_out_after_sigterm() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "parting-http").await?;
    let (service, url) = stage.http().await?;
    let api = stage.api().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let sent = stage.send(&url, Kind::Command, "late4").await?;
    ensure!(sent.edits == 0, "{sent:?}");
    let ended = spawn_blocking(move || service.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let sent = stage.follows(sent, |it| it.edits == 1).await?;
    ensure!(sent.original.unwrap_or_default()["content"] == "said by the worker");
    worker.close().await?;
    api.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_nothing_hears_it_at_the_end() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, "owing-http").await?;
    stage.set("INTERACTION_LINGER", "500ms");
    let (service, url) = stage.http().await?;
    let api = stage.api().await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let command = stage.send(&url, Kind::Command, "never").await?;
    let component = stage.send(&url, Kind::Component, "never").await?;
    let ended = spawn_blocking(move || service.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let command = stage.follows(command, |it| it.edits == 1).await?;
    ensure!(command.original.unwrap_or_default()["content"] == SORRY);
    let component = stage.follows(component, |_| true).await?;
    ensure!(
        (component.edits, component.followups) == (0, 0),
        "he sees nothing of it"
    );
    worker.close().await?;
    api.terminate()?;
    stage.rules_kept()
}
