//! Without workers, and without RabbitMQ.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use sim::{Interact, Interacted, InteractionKind as Kind};
use tests::{
    interactions::{
        Worker,
        stage::{Stage, is_sorry, ready},
    },
    rabbitmq::Rabbit,
};
use tokio::{task::spawn_blocking, time};

#[tokio::test(flavor = "multi_thread")]
async fn when_no_queue_is_bound_the_user_hears_it_at_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::new(rabbit, "nobody-http").await?;
    let (service, url) = stage.http().await?;
    for kind in [
        Kind::Command,
        Kind::Component,
        Kind::Modal,
        Kind::ComponentModal,
    ] {
        let sent = stage.send(&url, kind, "n4").await?;
        ensure!(is_sorry(&sent), "{sent:?}");
    }
    let sent = stage.send(&url, Kind::Autocomplete, "n8").await?;
    let nothing = json!({"type": 8, "data": {"choices": []}});
    ensure!(sent.answer == Some(nothing), "{sent:?}");
    let sent = stage.send(&url, Kind::Purchase, "").await?;
    ensure!(sent.status == Some(503), "{sent:?}");
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_from_rabbitmq_is_taken_for_nothing_else() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::new(rabbit, "returned-http").await?;
    stage.set("INTERACTION_DEFER_AFTER", "2500ms");
    let (service, url) = stage.http().await?;
    let worker = Worker::of(&["n4", "garbage"], rabbit, &stage.prefix).await?;
    // At once: interactions that a worker answers, those that nobody gets, and errors to the worker's own queue.
    let orders = [("n4", 300), ("lost", 100), ("garbage", 50)].map(|(name, count)| Interact {
        url: url.clone(),
        name: name.to_owned(),
        count,
        concurrency: 20,
        ..Interact::default()
    });
    let sent = try_join_all(orders.iter().map(|order| stage.sim.interact(order))).await?;
    for (order, sent) in orders.iter().zip(sent) {
        for it in sent {
            ensure!(
                is_sorry(&it) != (order.name == "n4"),
                "{}: {it:?}",
                order.name
            );
        }
    }
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_in_the_middle_leaves_nobody_waiting() -> Result<()> {
    let mut rabbit = spawn_blocking(Rabbit::start).await??;
    let stage = Stage::new(&rabbit, "restart-http").await?;
    let (service, url) = stage.http().await?;
    let worker = Worker::start(&rabbit, &stage.prefix).await?;
    let order = Interact {
        url: url.clone(),
        name: "n4".to_owned(),
        count: 400,
        concurrency: 40,
        rate: 100,
        ..Interact::default()
    };
    let load = stage.sim.interact(&order);
    let restart = async {
        while stage.sim.interactions().answered <= 50 {
            time::sleep(Duration::from_millis(10)).await;
        }
        let restarting = spawn_blocking(move || {
            rabbit.kill()?;
            rabbit.restart()?;
            Ok::<_, anyhow::Error>(rabbit)
        });
        restarting.await?
    };
    let (sent, rabbit) = tokio::join!(load, restart);
    let (sent, rabbit) = (sent?, rabbit?);
    ensure!(
        sent.iter().all(|it| it.status.is_some()),
        "somebody waited for 3 s"
    );
    let is_told = |it: &Interacted| it.status == Some(503);
    ensure!(sent.iter().any(is_told), "nobody was told of it");
    let good = sent.iter().filter(|it| it.status == Some(200)).count();
    ensure!(good > 50, "{good}");
    drop(worker.close().await);
    ready(&service).await?;
    let worker = Worker::start(&rabbit, &stage.prefix).await?;
    let sent = stage.send(&url, Kind::Command, "n4").await?;
    ensure!(sent.status == Some(200), "{sent:?}");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}
