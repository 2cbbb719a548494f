//! Interactions that come by a gateway connection: to workers they are as by HTTP, and `gateway-api` answers Discord.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use prost::Message as _;
use serde_json::{Value, json};
use sim::{Interact, InteractionKind as Kind};
use tests::{
    interactions::{
        Worker,
        stage::{DEFER, PATIENCE, Stage, content, is_sorry},
    },
    rabbitmq::Rabbit,
    service::Service,
};
use tokio::{
    task::spawn_blocking,
    time::{self, Instant},
};

use super::answers::late_ones;

/// Over the gateway connections.
const GATEWAY: &str = "";

/// All that it takes: `gateway-ws`, a worker and so many of `gateway-api`, of which the first takes interactions.
async fn scene(prefix: &str, apis: usize) -> Result<(Stage, Service, Vec<Service>, Worker)> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, prefix).await?;
    stage.set("INTERACTION_REPLIES", "true");
    stage.set("INTERACTION_EPHEMERAL", "command.late4.#, modal.never");
    let mut replicas = Vec::new();
    for _ in 0..apis {
        replicas.push(stage.api().await?);
    }
    let ws = stage.ws().await?;
    let worker = Worker::start(rabbit, prefix).await?;
    Ok((stage, ws, replicas, worker))
}

async fn end(stage: &Stage, ws: Service, apis: Vec<Service>, worker: Worker) -> Result<()> {
    worker.close().await?;
    for service in [ws].into_iter().chain(apis) {
        ensure!(
            !service.log().contains("aW50ZXJhY3Rpb246"),
            "a token of an interaction is logged: {}",
            service.log()
        );
        let ended = spawn_blocking(move || service.terminate()).await??;
        ensure!(ended.status.success(), "{}", ended.log);
    }
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reply_is_posted_as_the_callback() -> Result<()> {
    let (stage, ws, apis, worker) = scene("every-callback", 1).await?;
    for (interaction, answers) in [
        (Kind::Command, &[4, 5, 9, 12][..]),
        (Kind::Component, &[4, 5, 6, 7, 9, 12]),
        (Kind::ComponentModal, &[4, 5, 6, 7, 12]),
        (Kind::Modal, &[4, 5, 12]),
        (Kind::Autocomplete, &[8]),
        (Kind::Purchase, &[13]),
    ] {
        for number in answers {
            let name = format!("n{number}");
            let sent = stage.send(GATEWAY, interaction, &name).await?;
            ensure!(sent.callback == Some(*number), "{interaction:?} {sent:?}");
        }
    }
    for name in ["again", "direct", "file"] {
        let sent = stage.send(GATEWAY, Kind::Command, name).await?;
        ensure!(content(&sent) == "said by the worker", "{name}: {sent:?}");
        let files = &sent.original.unwrap_or_default()["files"];
        ensure!((files == 1) == (name == "file"), "{name}: {files}");
    }
    end(&stage, ws, apis, worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_follows_a_deferral_by_callback() -> Result<()> {
    let (stage, ws, apis, worker) = scene("late-callback", 1).await?;
    try_join_all(late_ones().map(|late| late.happens(&stage, GATEWAY))).await?;
    let late = worker
        .told("after that Discord takes messages alone")
        .await?;
    ensure!(late.code() == wire::gateway::v1::Code::FailedPrecondition);
    worker.told("`callback.data.embeds`").await?;
    end(&stage, ws, apis, worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_cannot_be_the_callback_is_told_to_worker_and_user() -> Result<()> {
    let (stage, ws, apis, worker) = scene("useless-callback", 1).await?;
    for (name, told) in [
        ("embeds", "`callback.data.embeds`: 11 are more than the 10"),
        ("garbage", "`body`"),
        ("n6", "`callback.type`: 6"),
        ("n99", "`callback.type`: 99"),
        ("failure", ""),
    ] {
        let sent = stage.send(GATEWAY, Kind::Command, name).await?;
        ensure!(is_sorry(&sent), "{name}: {sent:?}");
        if !told.is_empty() {
            let error = worker.told(told).await?;
            ensure!(error.code() == wire::gateway::v1::Code::InvalidArgument);
        }
    }
    let sent = stage.send(GATEWAY, Kind::Autocomplete, "n4").await?;
    let nothing = json!({"type": 8, "data": {"choices": []}});
    ensure!(sent.answer == Some(nothing), "{sent:?}");
    end(&stage, ws, apis, worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_goes_on_when_one_is_killed() -> Result<()> {
    let (stage, ws, mut apis, worker) = scene("killed-callback", 2).await?;
    let first = apis.remove(0);
    // One that is killed before the deferral, with the reply long after it.
    let before = stage.send(GATEWAY, Kind::Command, "late4");
    let kill = async {
        worker.has(1).await?;
        time::sleep(DEFER / 3).await;
        spawn_blocking(move || first.kill()).await??;
        Ok(())
    };
    let (before, ()) = tokio::try_join!(before, kill)?;
    ensure!(before.callback == Some(5), "{before:?}");
    let before = stage.follows(before, |it| it.edits == 1).await?;
    ensure!(before.original.unwrap_or_default()["content"] == "said by the worker");
    // And one that is killed between the deferral and the reply.
    let third = stage.api().await?;
    let second = apis.remove(0);
    let after = stage.send(GATEWAY, Kind::Component, "late4").await?;
    ensure!(after.callback == Some(6), "{after:?}");
    spawn_blocking(move || second.kill()).await??;
    stage.follows(after, |it| it.followups == 1).await?;
    end(&stage, ws, vec![third], worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_replaced_leave_no_interaction_without_an_answer() -> Result<()> {
    let (stage, ws, mut apis, worker) = scene("rolling-callback", 3).await?;
    let orders = ["n4", "late4", "twice", "never"].map(|name| Interact {
        name: name.to_owned(),
        count: 40,
        concurrency: 10,
        rate: 20,
        ..Interact::default()
    });
    let load = try_join_all(orders.iter().map(|order| stage.sim.interact(order)));
    let stop = async {
        for replica in apis.drain(..2) {
            time::sleep(Duration::from_millis(600)).await;
            let ended = spawn_blocking(move || replica.terminate()).await??;
            ensure!(ended.status.success(), "{}", ended.log);
        }
        Ok(())
    };
    let (sent, stopped) = tokio::join!(load, stop);
    stopped?;
    for one in sent?.into_iter().flatten() {
        ensure!(one.callback.is_some(), "{one:?}");
    }
    let all = stage.sim.interactions();
    ensure!((all.sent, all.unanswered) == (160, 0), "{all:?}");
    end(&stage, ws, apis, worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_answers_discord_itself_is_left_alone() -> Result<()> {
    let (stage, ws, apis, worker) = scene("own-callback", 1).await?;
    let sent = stage.send(GATEWAY, Kind::Command, "never");
    let own = async {
        let seen = worker.has(1).await?;
        let event = wire::gateway::v1::Event::decode(seen[0].body.as_slice())?;
        let Some(wire::gateway::v1::event::Data::InteractionCreate(interaction)) = event.data
        else {
            anyhow::bail!("it is no interaction");
        };
        let (id, token) = (interaction.id(), interaction.token());
        let url = format!("{}/interactions/{id}/{token}/callback", stage.sim.api_url());
        let own = json!({"type": 4, "data": {"content": "my own"}});
        let answer = reqwest::Client::new()
            .post(url)
            .header("User-Agent", "DiscordBot (https://example.com, 1)")
            .json(&own)
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{answer:?}");
        Ok(())
    };
    let (sent, ()) = tokio::try_join!(sent, own)?;
    ensure!(content(&sent) == "my own", "{sent:?}");
    let url = format!("{}/metrics", apis[0].admin().await?);
    let line = r#"kind="command",answer="taken"} 1"#;
    let deadline = Instant::now() + PATIENCE;
    while !reqwest::get(&url).await?.text().await?.contains(line) {
        ensure!(Instant::now() < deadline, "{}", apis[0].log());
        time::sleep(Duration::from_millis(10)).await;
    }
    let sent = stage.follows(sent, |_| true).await?;
    ensure!((sent.edits, sent.followups) == (0, 0), "{sent:?}");
    ensure!(sent.original.unwrap_or(Value::Null)["content"] == "my own");
    end(&stage, ws, apis, worker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_nobody_is_asked_for_a_reply() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "no-callback").await?;
    let (ws, api) = (stage.ws().await?, stage.api().await?);
    let worker = Worker::start(rabbit, &stage.prefix).await?;
    let event = sim::Dispatch {
        name: "INTERACTION_CREATE".to_owned(),
        data: r#"{"id":"5","type":2,"token":"a token","data":{"id":"5","name":"n4","type":1}}"#
            .to_owned(),
        ..sim::Dispatch::default()
    };
    stage.sim.dispatch(&event)?;
    let seen = worker.has(1).await?;
    let properties = &seen[0].properties;
    ensure!(properties.reply_to().is_none() && properties.correlation_id().is_none());
    let headers = properties.headers().clone().unwrap_or_default();
    ensure!(!headers.inner().contains_key("deadline"), "{headers:?}");
    end(&stage, ws, vec![api], worker).await
}
