//! The number of shards changes under load, whatever else happens: every event of Discord's comes, and under one
//! id, although two sets of shards get it.

mod commands;
mod discord;
mod interrupted;
mod scene;

use anyhow::Result;

use self::scene::{DONE, SWITCHING, Setup, WARMING};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_changes_the_number_of_shards_by_a_rolling_restart() -> Result<()> {
    let mut scene = Setup::new("reshard-operator", 2, "2").start().await?;
    for slot in [0, 1] {
        scene.replace(slot, "4").await?;
        scene.until_said(WARMING).await?;
    }
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_follows_what_discord_recommends() -> Result<()> {
    let mut scene = Setup::new("reshard-auto", 2, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_without_a_store_changes_its_number_of_shards() -> Result<()> {
    let mut scene = Setup::new("reshard-alone", 1, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_while_the_next_set_connects() -> Result<()> {
    let mut scene = Setup::new("reshard-warming", 2, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(WARMING).await?;
    scene.connected(4).await?;
    scene.events().await?;
    scene.kill(1)?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_while_the_next_set_takes_over() -> Result<()> {
    let mut scene = Setup::new("reshard-switching", 2, "auto").start().await?;
    scene.recommend_four()?;
    scene.until_said(SWITCHING).await?;
    scene.kill(1)?;
    scene.until_said(DONE).await?;
    // A shard may have left its tail, and died before it could close: nobody takes it up, and its session expires.
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_is_changed_back_while_the_next_set_connects() -> Result<()> {
    let mut scene = Setup::new("reshard-back", 2, "2").start().await?;
    scene.replace(0, "4").await?;
    scene.until_said(WARMING).await?;
    scene.connected(4).await?;
    scene.fleet.set("DISCORD_SHARD_COUNT", "2");
    scene.fleet.start(2)?;
    scene
        .until_said("the number of shards stays after all")
        .await?;
    scene.finish(4, 6).await
}
