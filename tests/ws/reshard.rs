//! The number of shards changes under load, whatever else happens: every event of Discord's comes, and under one
//! id, although two sets of shards get it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sim::{Config, EmitRequest, Sim, State};
use tests::{
    counter::{Counter, Queue},
    fleet::Fleet,
    rabbitmq::Rabbit,
    redis::Redis,
    service::gateway_ws,
};
use tokio::time::{Instant, sleep};

/// How long a step of a change may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);

/// All intents that Discord defines.
const ALL_INTENTS: &str = "53608447";

/// What is said when the next set begins to connect.
const WARMING: &str = "the new set connects beside the old one";

/// What is said when it begins to take over.
const SWITCHING: &str = "is ready and takes over";

/// What is said when it is done.
const DONE: &str = "the number of shards has changed";

/// Replicas under load, and a worker that counts.
struct Scene {
    sim: Sim,
    fleet: Fleet,
    counter: Counter,
    _redis: Option<Redis>,
}

impl Scene {
    /// So many replicas with two shards; `count` is what is configured.
    async fn new(name: &str, replicas: usize, count: &str) -> Result<Self> {
        tests::crypto();
        let rabbit = Rabbit::shared();
        let counter = Counter::start(&rabbit.url(), name, Queue::Classic).await?;
        let sim = Sim::start(Config {
            shards: 2,
            guilds: 24,
            guild_channels: 3,
            guild_roles: 2,
            guild_members: 10,
            max_concurrency: 16,
            ..Config::default()
        })
        .await?;
        let mut fleet = Fleet::new(gateway_ws()?)?;
        for (name, value) in [
            ("DISCORD_TOKEN", "sim.token"),
            ("DISCORD_API_URL", &sim.api_url()),
            ("DISCORD_INTENTS", ALL_INTENTS),
            ("DISCORD_SHARD_COUNT", count),
            ("AMQP_URL", &rabbit.url()),
            ("AMQP_PREFIX", name),
            ("WS_LEASE_TTL", "2s"),
            ("WS_RESHARD_INTERVAL", "1s"),
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("NO_COLOR", "1"),
        ] {
            fleet.set(name, value);
        }
        let redis = if replicas > 1 {
            let redis = Redis::start()?;
            fleet.set("REDIS_URL", &redis.url());
            Some(redis)
        } else {
            None
        };
        for slot in 0..replicas {
            fleet.start(slot)?;
        }
        sim.wait_for("both shards", PATIENCE, State::is_ready)
            .await?;
        sim.start_emission(EmitRequest {
            rate: Some(300.0),
            ..EmitRequest::default()
        })?;
        Ok(Self {
            sim,
            fleet,
            counter,
            _redis: redis,
        })
    }

    /// Discord recommends four shards from now on.
    fn recommend_four(&self) -> Result<()> {
        let four = json!({ "shards": 4 });
        self.sim
            .change_settings(four.as_object().context("it is one")?)?;
        Ok(())
    }

    /// Replaces a replica by one that is configured with this number of shards.
    async fn replace(&mut self, slot: usize, count: &str) -> Result<()> {
        self.fleet.set("DISCORD_SHARD_COUNT", count);
        self.fleet.terminate(slot).await?;
        self.fleet.start(slot)
    }

    /// Waits until a replica says this.
    async fn until_said(&mut self, text: &str) -> Result<()> {
        self.until(text, |scene| scene.fleet.count_in_logs(text) > 0)
            .await
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self) {
            self.fleet.all_alive()?;
            ensure!(
                Instant::now() < deadline,
                "not in time: {what}\n{}",
                self.logs()
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let slots = self.fleet.slots();
        let logs = slots
            .iter()
            .filter_map(|slot| self.fleet.replica(*slot).ok());
        logs.map(|it| it.log()).collect::<Vec<_>>().join("\n---\n")
    }

    /// Waits until a set of this size has all its sessions.
    async fn connected(&self, count: u32) -> Result<()> {
        let wanted = |state: &State| connected(state, count).len() == count as usize;
        self.sim.wait_for("the set", PATIENCE, wanted).await?;
        Ok(())
    }

    /// Waits for some events more.
    async fn events(&self) -> Result<()> {
        let before = self.sim.state().generated;
        let more = |state: &State| state.generated > before + 300;
        self.sim.wait_for("events", PATIENCE, more).await?;
        Ok(())
    }

    /// Ends the load and judges: every event came, under one id; the set of this size is closed for good; so
    /// many sessions were begun; no rule was broken.
    async fn finish(self, closed: u32, identifies: u64) -> Result<()> {
        let scene = self.judged(closed, identifies).await?;
        let is_over = |state: &State| {
            let mut of_set = state.sessions.iter().filter(|it| it.shard[1] == closed);
            of_set.all(|session| session.ended.is_some())
        };
        let state = scene
            .sim
            .wait_for("the end of a set", PATIENCE, is_over)
            .await?;
        let log = state.connection_log.iter();
        let last_ends = log.filter(|it| it.shard.is_some_and(|shard| shard[1] == closed));
        let normal = last_ends.filter(|it| it.end.is_some_and(|end| end.code == Some(1000)));
        let normal: BTreeSet<_> = normal.map(|it| it.shard).collect();
        ensure!(
            normal.len() == closed as usize,
            "closed with 1000: {normal:?}"
        );
        scene.end().await
    }

    async fn judged(mut self, closed: u32, identifies: u64) -> Result<Self> {
        self.events().await?;
        self.sim.stop_emission().await;
        let last = self.sim.state().generated;
        self.until("every event", |scene| {
            scene.counter.tally().marked(last).0.is_empty()
        })
        .await
        .with_context(|| {
            let missing = self.counter.tally().marked(last).0;
            format!("{} of {last} events are lost: {missing:?}", missing.len())
        })?;
        let sim = &self.sim;
        let is_over = |state: &State| {
            let mut of_set = state.sessions.iter().filter(|it| it.shard[1] == closed);
            of_set.all(|session| !session.connected)
        };
        sim.wait_for("the last connection of a set", PATIENCE, is_over)
            .await?;
        let twins = self.counter.tally().marked(last).1;
        let logs = self.logs();
        let count = twins.len();
        ensure!(count == 0, "{count} events have two ids: {twins:?}\n{logs}");
        let state = self.sim.state();
        ensure!(
            state.identifies == identifies,
            "{} identifies\n{logs}",
            state.identifies
        );
        let violations = self.sim.violations();
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(self)
    }

    async fn end(mut self) -> Result<()> {
        self.fleet.terminate_all().await?;
        ensure!(self.fleet.count_in_logs("panicked") == 0);
        Ok(())
    }
}

/// The shards of a set that have a living session.
fn connected(state: &State, count: u32) -> BTreeSet<u32> {
    let of_set = state.sessions.iter().filter(|it| it.shard[1] == count);
    let living = of_set.filter(|it| it.connected && it.guilds_complete);
    living.map(|it| it.shard[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_changes_the_number_of_shards_by_a_rolling_restart() -> Result<()> {
    let mut scene = Scene::new("reshard-operator", 2, "2").await?;
    scene.events().await?;
    for slot in [0, 1] {
        scene.replace(slot, "4").await?;
        scene.until_said(WARMING).await?;
    }
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_follows_what_discord_recommends() -> Result<()> {
    let mut scene = Scene::new("reshard-auto", 2, "auto").await?;
    scene.events().await?;
    scene.recommend_four()?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_without_a_store_changes_its_number_of_shards() -> Result<()> {
    let mut scene = Scene::new("reshard-alone", 1, "auto").await?;
    scene.events().await?;
    scene.recommend_four()?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_while_the_next_set_connects() -> Result<()> {
    let mut scene = Scene::new("reshard-warming", 2, "auto").await?;
    scene.events().await?;
    scene.recommend_four()?;
    scene.until_said(WARMING).await?;
    scene.connected(4).await?;
    scene.events().await?;
    scene.fleet.kill(1)?;
    scene.until_said(DONE).await?;
    scene.finish(2, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_while_the_next_set_takes_over() -> Result<()> {
    let mut scene = Scene::new("reshard-switching", 2, "auto").await?;
    scene.events().await?;
    scene.recommend_four()?;
    scene.until_said(SWITCHING).await?;
    scene.fleet.kill(1)?;
    scene.until_said(DONE).await?;
    // A shard may have left its tail, and died before it could close: nobody takes it up, and its session expires.
    scene.judged(2, 6).await?.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_is_changed_back_while_the_next_set_connects() -> Result<()> {
    let mut scene = Scene::new("reshard-back", 2, "2").await?;
    scene.events().await?;
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
