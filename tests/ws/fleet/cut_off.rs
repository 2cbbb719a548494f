//! A replica that reaches Discord and not the store, while the others do.

use anyhow::{Result, ensure};
use sim::Config;
use tests::balancer::Balancer;

use super::Fleet;

/// How often the shards have to be lost to their new owner.
const LOSSES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_ask_for_its_leases_gives_way_to_who_can() -> Result<()> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 4,
        ..Config::default()
    })
    .await?;
    let way = Balancer::start(vec![fleet.redis.port()]).await?;
    let direct = fleet.redis.url();
    let url = format!("redis://127.0.0.1:{}/", way.port());
    fleet.stage.set("REDIS_URL", &url);
    fleet.start("a")?;
    fleet.ready().await?;
    fleet.stage.set("REDIS_URL", &direct);
    fleet.start("b")?;
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.go_on().await?;
    fleet.events().await?;

    drop(way);
    fleet.have(&[("b", 4)]).await?;
    // It cannot know that this is no outage, in which sessions have to be resumed: so it resumes, but never at
    // once, and each time later.
    let lonely = fleet.replica("a")?;
    let losses = || -> Vec<String> {
        let log = lonely.log();
        let lost = log.lines().filter(|line| line.contains("connection lost"));
        lost.map(str::to_owned).collect()
    };
    let again = || Ok(losses().len() >= LOSSES);
    lonely.until("the loss of the shards", again).await?;
    let losses = losses();
    ensure!(
        losses.iter().all(|line| !line.contains("wait_ms=0 ")),
        "{losses:#?}"
    );
    fleet.kill("a")?;
    fleet.shares(&[("b", 4)]).await?;
    fleet.events().await?;
    fleet.nothing_is_lost_but_resumed_twice().await
}
