//! Several replicas that share the shards of one application: they join, leave, die, sleep and lose
//! their store; no event is lost, and no session.

mod cut_off;
mod divided;
mod foreign;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sim::{Config, EmitRequest, Kind, State, Violation};
use tests::{
    redis::Redis,
    server,
    service::{Ended, Service},
};
use tokio::time::{self, Instant};

use super::stage::{PATIENCE, Stage};

/// How long a lease holds in these scenarios: as short as may be.
const LEASE: Duration = Duration::from_secs(2);

/// Replicas with a store of their own.
struct Fleet {
    stage: Stage,
    redis: Redis,
    running: BTreeMap<&'static str, Service>,
    /// The ids that replicas had written which have ended since.
    written: BTreeSet<String>,
}

impl Fleet {
    /// No replica yet, and a Discord that wants four shards.
    async fn new(config: Config) -> Result<Self> {
        let redis = Redis::start()?;
        let mut stage = Stage::new(Config {
            shards: 4,
            guilds: 8,
            ..config
        })
        .await?;
        stage.set("REDIS_URL", &redis.url());
        stage.set("WS_LEASE_TTL", "2s");
        Ok(Self {
            stage,
            redis,
            running: BTreeMap::new(),
            written: BTreeSet::new(),
        })
    }

    /// Two replicas that have all shards between them, while events come.
    async fn of_two() -> Result<Self> {
        let mut fleet = Self::new(Config {
            max_concurrency: 4,
            ..Config::default()
        })
        .await?;
        fleet.start("a")?;
        fleet.ready().await?;
        fleet.start("b")?;
        fleet.shares(&[("a", 2), ("b", 2)]).await?;
        fleet.go_on().await?;
        Ok(fleet)
    }

    /// Waits until all sessions are saved, and lets events come.
    async fn go_on(&self) -> Result<()> {
        let replica = self.running.values().next().context("one runs")?;
        self.stage.saved(replica, &self.redis, 4).await?;
        self.stage.sim.start_emission(EmitRequest {
            rate: Some(300.0),
            ..EmitRequest::default()
        })?;
        Ok(())
    }

    fn start(&mut self, name: &'static str) -> Result<()> {
        self.running.insert(name, self.stage.start()?);
        Ok(())
    }

    fn replica(&self, name: &str) -> Result<&Service> {
        self.running.get(name).context("it runs")
    }

    fn ended(&mut self, ended: &Ended) {
        // A line that SIGKILL cut off is no message.
        let ids = ended.output.iter().filter_map(|line| id(line));
        self.written.extend(ids);
    }

    fn terminate(&mut self, name: &str) -> Result<()> {
        let ended = self.running.remove(name).context("it runs")?.terminate()?;
        ensure!(ended.status.success(), "{}", ended.log);
        self.ended(&ended);
        Ok(())
    }

    fn kill(&mut self, name: &str) -> Result<()> {
        let ended = self.running.remove(name).context("it runs")?.kill()?;
        self.ended(&ended);
        Ok(())
    }

    /// Sends a signal that a process does not see: STOP or CONT.
    fn signal(&self, name: &str, signal: &str) -> Result<()> {
        server::signal(signal, self.replica(name)?.id())
    }

    /// Waits until all shards are connected.
    async fn ready(&self) -> Result<()> {
        let ready = State::is_ready;
        self.stage
            .sim
            .wait_for("all shards", PATIENCE, ready)
            .await?;
        Ok(())
    }

    /// Waits until each of these replicas has so many shards, and all shards are connected.
    async fn shares(&self, wanted: &[(&str, u64)]) -> Result<()> {
        self.have(wanted).await?;
        self.ready().await
    }

    /// Waits until each of these replicas has so many shards.
    async fn have(&self, wanted: &[(&str, u64)]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut shares = Vec::new();
            for (name, _) in wanted {
                shares.push((*name, self.share(name).await?));
            }
            if shares == wanted {
                return Ok(());
            }
            let logs: Vec<String> = self.running.values().map(Service::log).collect();
            ensure!(
                Instant::now() < deadline,
                "{shares:?}\n{}",
                logs.join("\n---\n")
            );
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many shards a replica says that it has.
    async fn share(&self, name: &str) -> Result<u64> {
        let url = format!("{}/metrics", self.replica(name)?.admin().await?);
        let metrics = reqwest::get(url).await?.text().await?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("gateway_ws_leases{"));
        let number = line.and_then(|line| line.rsplit(' ').next());
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// Waits for some events more.
    async fn events(&self) -> Result<()> {
        let before = self.stage.sim.state().generated;
        let more = |state: &State| state.generated > before + 300;
        self.stage.sim.wait_for("events", PATIENCE, more).await?;
        Ok(())
    }

    /// Ends the emission, waits until every event that was dispatched has come, and checks that no
    /// session was begun but the first of each shard, and that no rule was broken.
    async fn nothing_is_lost(&self) -> Result<()> {
        self.nothing_is_lost_for(4).await
    }

    /// The same, where so many sessions had to be begun.
    async fn nothing_is_lost_for(&self, identifies: u64) -> Result<()> {
        self.stage.sim.stop_emission().await;
        self.ready().await?;
        let expected = self.stage.dispatched();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut seen = self.written.clone();
            for replica in self.running.values() {
                let messages = replica.messages()?;
                seen.extend(super::stage::ids(&messages));
            }
            let lost = expected.difference(&seen).count();
            if lost == 0 {
                break;
            }
            ensure!(Instant::now() < deadline, "{lost} events are lost");
            time::sleep(Duration::from_millis(100)).await;
        }
        let state = self.stage.sim.state();
        ensure!(
            state.identifies == identifies,
            "{} identifies",
            state.identifies
        );
        self.stage.rules_kept()
    }

    /// Like [`Fleet::nothing_is_lost`], when processes have resumed sessions of which others had connections:
    /// nobody can close those of a process that sleeps or is cut off. That is all that may be wrong.
    async fn nothing_is_lost_but_resumed_twice(&self) -> Result<()> {
        let violations = self.stage.sim.violations();
        let is_twice = |violation: &Violation| violation.kind == Kind::ResumeTwice;
        ensure!(violations.iter().all(is_twice), "{violations:#?}");
        self.stage.sim.clear_violations();
        self.nothing_is_lost().await
    }
}

/// The id in a line of output.
fn id(line: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(message["message_id"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_shards_and_hand_them_over_by_resume() -> Result<()> {
    let mut fleet = Fleet::of_two().await?;
    fleet.events().await?;
    fleet.start("c")?;
    fleet.shares(&[("c", 1)]).await?;
    fleet.events().await?;
    fleet.terminate("a")?;
    fleet.shares(&[("b", 2), ("c", 2)]).await?;
    fleet.events().await?;
    fleet.terminate("b")?;
    fleet.shares(&[("c", 4)]).await?;
    fleet.events().await?;
    fleet.nothing_is_lost().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shards_of_a_dead_replica_are_taken_over_by_resume() -> Result<()> {
    let mut fleet = Fleet::of_two().await?;
    fleet.events().await?;
    fleet.kill("a")?;
    fleet.shares(&[("b", 4)]).await?;
    fleet.start("a")?;
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.events().await?;
    fleet.nothing_is_lost().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_slept_longer_than_its_lease_disturbs_nobody() -> Result<()> {
    let fleet = Fleet::of_two().await?;
    fleet.events().await?;
    fleet.signal("a", "STOP")?;
    fleet.shares(&[("b", 4)]).await?;
    fleet.events().await?;
    fleet.signal("a", "CONT")?;
    let fenced = "another replica has taken this shard over";
    let sleeper = fleet.replica("a")?;
    sleeper
        .until("the loss of both shards", || {
            Ok(sleeper.log().matches(fenced).count() == 2)
        })
        .await?;
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.events().await?;
    ensure!(!fleet.replica("b")?.log().contains(fenced));
    let twice = fleet.stage.sim.violations().len();
    let log = fleet.replica("a")?.log();
    ensure!(twice <= 2, "{twice} sessions were taken over:\n{log}");
    fleet.nothing_is_lost_but_resumed_twice().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_shards_go_on_and_resume() -> Result<()> {
    let mut fleet = Fleet::of_two().await?;
    for gently in [true, false] {
        if gently {
            fleet.redis.stop()?;
        } else {
            fleet.redis.kill()?;
        }
        for replica in fleet.running.values() {
            let away = || Ok(replica.log().contains("the store is away"));
            replica.until("the loss of the store", away).await?;
        }
        let before = fleet.stage.sim.state().resumes;
        fleet.stage.sim.reconnect(None)?;
        let resumed = |state: &State| state.resumes == before + 4;
        let sim = &fleet.stage.sim;
        sim.wait_for("resumes without the store", PATIENCE, resumed)
            .await?;
        // A span in which every lease runs out: the point is that nothing happens in it.
        time::sleep(LEASE * 2).await;
        fleet.events().await?;
        fleet.redis.restart()?;
        let rounds = if gently { 1 } else { 2 };
        for replica in fleet.running.values() {
            let back = || Ok(replica.log().matches("the store is back").count() == rounds);
            replica.until("the return of the store", back).await?;
        }
        fleet.shares(&[("a", 2), ("b", 2)]).await?;
    }
    for replica in fleet.running.values() {
        ensure!(!replica.log().contains("another replica has taken"));
    }
    let hand_over = "handing a shard over";
    let handed_over = |replica: &Service| replica.log().matches(hand_over).count();
    let hand_overs: usize = fleet.running.values().map(handed_over).sum();
    ensure!(
        hand_overs == 2,
        "more than the two to the second replica, before it all began"
    );
    fleet.nothing_is_lost().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_everything_learns_it_again() -> Result<()> {
    let mut fleet = Fleet::of_two().await?;
    fleet.events().await?;
    fleet.redis.flush()?;
    for replica in fleet.running.values() {
        let again = || Ok(replica.log().contains("saving all sessions again"));
        replica.until("the loss to be noticed", again).await?;
    }
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.stage.sim.stop_emission().await;
    // A span in which the sessions are saved.
    time::sleep(LEASE).await;
    fleet.kill("a")?;
    fleet.shares(&[("b", 4)]).await?;
    fleet.nothing_is_lost().await
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_identify_at_the_pace_that_discord_allows_them_together() -> Result<()> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 1,
        ..Config::default()
    })
    .await?;
    fleet.start("a")?;
    fleet.start("b")?;
    fleet.shares(&[("a", 2), ("b", 2)]).await?;
    fleet.nothing_is_lost().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_identifies_of_the_day_are_not_used() -> Result<()> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 4,
        remaining: 12,
        ..Config::default()
    })
    .await?;
    fleet.start("a")?;
    let replica = fleet.replica("a")?;
    let refused = || Ok(replica.log().contains("no identify is left for today"));
    replica.until("the refusal", refused).await?;
    let url = format!("{}/readyz", replica.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(&url).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status == 503 && text.contains("990 of 1000 identifies") {
            break;
        }
        ensure!(Instant::now() < deadline, "{status}: {text}");
        time::sleep(Duration::from_millis(20)).await;
    }
    let two = |state: &State| state.identifies == 2;
    let sim = &fleet.stage.sim;
    sim.wait_for("the last two identifies", PATIENCE, two)
        .await?;
    fleet.stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn identifies_go_on_by_themselves_when_discord_counts_anew() -> Result<()> {
    let mut fleet = Fleet::new(Config {
        max_concurrency: 4,
        ..Config::default()
    })
    .await?;
    let sim = &fleet.stage.sim;
    sim.change_faults(|faults| faults.rest_status = Some(503));
    fleet.start("a")?;
    let replica = fleet.replica("a")?;
    let running = || Ok(replica.log().contains("503"));
    replica.until("a process that is there", running).await?;
    // So little is left just before the end of a day.
    let sim = &fleet.stage.sim;
    sim.change_settings(
        json!({"remaining": 12, "reset_after_ms": 20_000})
            .as_object()
            .context("an object")?,
    )?;
    sim.change_faults(|faults| faults.rest_status = None);
    let refused = || Ok(replica.log().contains("no identify is left for today"));
    replica.until("the refusal", refused).await?;
    let two = |state: &State| state.identifies == 2;
    sim.wait_for("the last two identifies", PATIENCE, two)
        .await?;
    fleet.shares(&[("a", 4)]).await?;
    let url = format!("{}/readyz", replica.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    while reqwest::get(&url).await?.status() != 200 {
        ensure!(Instant::now() < deadline, "{}", replica.log());
        time::sleep(Duration::from_millis(20)).await;
    }
    fleet.nothing_is_lost().await
}
