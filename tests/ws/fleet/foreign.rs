//! Keys in Redis that hold what we did not write: named in the log, and the harm ends with their shard.

use anyhow::{Context as _, Result, ensure};
use sim::{Config, State};
use tests::service::Service;

use super::Fleet;
use crate::ws::stage::PATIENCE;

/// A fleet whose sessions are saved, and whose only replica has left.
async fn saved() -> Result<Fleet> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 4,
        ..Config::default()
    })
    .await?;
    fleet.start("a")?;
    fleet.shares(&[("a", 4)]).await?;
    fleet.stage.emit(200).await?;
    fleet.stage.everything_written(fleet.replica("a")?).await?;
    fleet.terminate("a")?;
    Ok(fleet)
}

/// The name of one of the application's keys.
fn key(fleet: &Fleet, name: &str) -> String {
    let id = fleet.stage.sim.settings().application_id;
    format!("discord:{{{id}}}:{name}")
}

/// The only line of the log with these words.
fn line(service: &Service, words: &str) -> Result<String> {
    let log = service.log();
    let mut lines = log.lines().filter(|line| line.contains(words));
    let line = lines.next().with_context(|| log.clone())?;
    ensure!(lines.next().is_none(), "said twice:\n{log}");
    Ok(line.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_read_costs_one_identify_after_a_word_in_the_log() -> Result<()> {
    let mut fleet = saved().await?;
    let sessions = key(&fleet, "sessions");
    let new = fleet.redis.number(&format!("HSET {sessions} 2/4 {{}}"))?;
    ensure!(new == 0, "there was no session of shard 2");
    fleet.start("b")?;
    fleet.shares(&[("b", 4)]).await?;
    let said = line(fleet.replica("b")?, "the shard identifies anew")?;
    ensure!(
        said.contains("ERROR") && said.contains(&sessions) && said.contains("2/4"),
        "{said}"
    );
    let state = fleet.stage.sim.state();
    let identified = state.identifies_by_shard.iter();
    let again: Vec<[u32; 2]> = identified
        .filter(|shard| shard.identifies > 1)
        .map(|shard| shard.shard)
        .collect();
    ensure!(again == [[2, 4]], "{again:?} identified again");
    ensure!(state.resumes == 3, "{} resumes", state.resumes);
    fleet.nothing_is_lost_for(5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_none_holds_up_its_own_shard_until_somebody_deletes_it() -> Result<()> {
    let mut fleet = saved().await?;
    let leases = key(&fleet, "leases");
    fleet.redis.number(&format!("HSET {leases} 2/4 strange"))?;
    fleet.start("b")?;
    let three = |state: &State| state.resumes == 3;
    let sim = &fleet.stage.sim;
    sim.wait_for("the other shards", PATIENCE, three).await?;
    let replica = fleet.replica("b")?;
    let named = || Ok(replica.log().contains(&leases));
    replica.until("the name of the key", named).await?;
    ensure!(replica.log().contains("2/4"), "{}", replica.log());
    fleet.stage.emit(200).await?;
    let deleted = fleet.redis.number(&format!("HDEL {leases} 2/4"))?;
    ensure!(deleted == 1, "somebody has written over it");
    fleet.shares(&[("b", 4)]).await?;
    fleet.nothing_is_lost().await
}
