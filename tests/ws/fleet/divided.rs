//! `DISCORD_SHARD_IDS`: who may run which shards, with one store for all.

use anyhow::{Result, ensure};
use sim::Config;
use tokio::time;

use super::{Fleet, LEASE};

/// Starts a replica that may run these shards only.
fn start(fleet: &mut Fleet, name: &'static str, shard_ids: &str) -> Result<()> {
    fleet.stage.set("DISCORD_SHARD_IDS", shard_ids);
    fleet.start(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replica_runs_the_shards_that_it_may_and_no_others() -> Result<()> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 4,
        ..Config::default()
    })
    .await?;
    start(&mut fleet, "a", "0-1")?;
    start(&mut fleet, "b", "2,3")?;
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.go_on().await?;
    fleet.events().await?;

    // Nobody else may have the shards of the second one: they wait for somebody who may.
    fleet.kill("b")?;
    // A span in which its leases run out, and the time to come back: the point is that nothing happens in it.
    time::sleep(LEASE * 2).await;
    fleet.events().await?;
    ensure!(fleet.share("a").await? == 2, "it took what it may not");
    start(&mut fleet, "c", "2")?;
    start(&mut fleet, "d", "3")?;
    fleet.shares(&[("a", 2), ("c", 1), ("d", 1)]).await?;
    fleet.events().await?;

    // Nor when it is in good order that somebody leaves.
    fleet.terminate("a")?;
    fleet.events().await?;
    ensure!(fleet.share("c").await? == 1 && fleet.share("d").await? == 1);
    start(&mut fleet, "a", "0-1")?;
    fleet.shares(&[("a", 2), ("c", 1), ("d", 1)]).await?;
    fleet.events().await?;
    fleet.nothing_is_lost().await
}
