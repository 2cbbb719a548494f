//! Something comes between while the number of shards changes: a stop of all replicas, a store that is away, more
//! events than can be held back. The change goes on where it was, at no further identify.

use anyhow::{Result, ensure};
use serde_json::json;
use sim::{Dispatch, Sim};

use super::scene::{DONE, SWITCHING, Scene, Setup, WARMING};

/// What is said when there is no room for further events.
const FULL: &str = "no more events can be held back: disconnected";

/// How many bytes each of the large events has, and how many of them fill what a shard holds back.
const LARGE: usize = 1 << 20;
const MANY: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn all_replicas_are_stopped_while_the_next_set_connects() -> Result<()> {
    let mut scene = Setup::new("reshard-stop-warming", 2, "auto")
        .start()
        .await?;
    scene.recommend_four()?;
    scene.until_said(WARMING).await?;
    scene.connected(4).await?;
    scene.events().await?;
    scene.restart().await?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_replicas_are_stopped_while_the_next_set_takes_over() -> Result<()> {
    let mut scene = Setup::new("reshard-stop-switching", 2, "auto")
        .start()
        .await?;
    scene.recommend_four()?;
    scene.until_said(SWITCHING).await?;
    scene.restart().await?;
    scene.until_said(DONE).await?;
    // A shard may have left its tail, and been told to stop before it could close.
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_with_a_file_is_stopped_at_each_step() -> Result<()> {
    let mut setup = Setup::new("reshard-file", 1, "auto");
    setup.set("WS_SESSION_FILE", "{folder}/sessions");
    let mut scene = setup.start().await?;
    scene.recommend_four()?;
    for step in [WARMING, SWITCHING] {
        scene.until_said(step).await?;
        scene.restart().await?;
    }
    scene.until_said(DONE).await?;
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_is_stopped_while_the_next_set_takes_over() -> Result<()> {
    let mut scene = Setup::new("reshard-stop-one", 2, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(SWITCHING).await?;
    scene.fleet.terminate(1).await?;
    scene.until_said(DONE).await?;
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_is_stopped_that_has_not_heard_of_the_switch() -> Result<()> {
    let mut scene = Setup::new("reshard-stop-unaware", 2, "auto")
        .start()
        .await?;
    scene.recommend_four()?;
    scene.until_said(SWITCHING).await?;
    scene.stop_unaware(SWITCHING).await?;
    scene.until_said(DONE).await?;
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_away_while_the_next_set_connects_and_while_it_takes_over() -> Result<()> {
    let mut scene = Setup::new("reshard-store", 2, "auto").start().await?;
    scene.recommend_four()?;
    for step in [WARMING, SWITCHING] {
        scene.until_said(step).await?;
        scene.lose_store().await?;
        scene.events().await?;
        scene.return_store()?;
    }
    scene.until_said(DONE).await?;
    scene.judged(2, 6).await?.end().await
}

/// Discord sends more to one shard of the new set than that can hold back, unless it just takes over.
async fn flood(scene: &mut Scene) -> Result<()> {
    let times = scene.fleet.count_in_logs(FULL);
    let guilds = scene.sim.guild_ids();
    let guild = guilds.into_iter().find(|id| Sim::shard_of(*id, 4) == 3);
    let content = "x".repeat(LARGE);
    for _ in 0..MANY {
        let message = json!({"guild_id": guild.map(|id| id.to_string()), "content": content});
        let taken = scene.sim.dispatch(&Dispatch {
            name: "MESSAGE_CREATE".to_owned(),
            data: message.to_string(),
            mark: true,
            ..Dispatch::default()
        })?;
        ensure!(taken > 0, "no session got it");
        scene.ordered += 1;
    }
    let is_full = |scene: &Scene| {
        scene.fleet.count_in_logs(FULL) > times || scene.has_said("takes over shard=3")
    };
    scene.until("a shard that holds no more", is_full).await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_comes_than_the_next_set_can_hold_back() -> Result<()> {
    let mut scene = Setup::new("reshard-full", 2, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(WARMING).await?;
    scene.connected(4).await?;
    // The old set goes on, and what it must have published makes room.
    flood(&mut scene).await?;
    scene.until_said(SWITCHING).await?;
    // The old set cannot end, so nothing makes room.
    scene.lose_store().await?;
    flood(&mut scene).await?;
    scene.return_store()?;
    scene.until_said(DONE).await?;
    scene.judged(2, 6).await?.end().await
}
