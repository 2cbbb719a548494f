//! What becomes of interactions when processes end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use sim::{Interact, InteractionKind as Kind};
use tests::{balancer::Balancer, rabbitmq::Rabbit};
use tokio::{task::spawn_blocking, time};

use super::{
    stage::{SORRY, Stage},
    worker::Worker,
};

/// The port of a URL such as `http://127.0.0.1:8080/interactions`.
fn port(url: &str) -> Result<u16> {
    let port = url
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next());
    Ok(port.context("a port")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_replaced_one_by_one_fail_no_interaction() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "rolling-http").await?;
    let replicas = try_join_all((0..3).map(|_| stage.http())).await?;
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let ports: Result<Vec<_>> = replicas.iter().map(|(_, url)| port(url)).collect();
    let balancer = Balancer::start(ports?).await?;
    let order = Interact {
        url: format!("http://127.0.0.1:{}/interactions", balancer.port()),
        name: "n4".to_owned(),
        count: 200,
        concurrency: 8,
        rate: 50,
        is_new: true,
        ..Interact::default()
    };
    let load = stage.sim.interact(&order);
    let stop = async {
        // Two of the three, one after the other: the last one goes on.
        let mut rest = replicas.into_iter();
        for (replica, _) in rest.by_ref().take(2) {
            time::sleep(Duration::from_millis(500)).await;
            let ended = spawn_blocking(move || replica.terminate()).await??;
            ensure!(ended.status.success(), "{}", ended.log);
        }
        Ok(rest.collect::<Vec<_>>())
    };
    let (sent, rest) = tokio::join!(load, stop);
    let (sent, rest) = (sent?, rest?);
    let failed: Vec<_> = sent.iter().filter(|it| it.status != Some(200)).collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    ensure!(sent.len() == 200);
    worker.close().await?;
    for (replica, _) in rest {
        replica.terminate()?;
    }
    stage.rules_kept()
}

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
