//! Replicas under load whose number of shards changes, and a worker that counts.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lapin::message::Delivery;
use prost::Message as _;
use serde_json::{Value, json};
use sim::{Config, EmitRequest, Sim, State};
use tests::{
    counter::{Counter, Queue},
    fleet::Fleet,
    rabbitmq::Rabbit,
    redis::Redis,
    service::gateway_ws,
};
use tokio::time::{Instant, sleep};
use wire::gateway::v1::{Event, ReshardPhase, Source, event::Data};

use crate::{broker::service::Worker, ws::ledger::Page};

/// How long a step of a change may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);

/// All intents that Discord defines.
const ALL_INTENTS: &str = "53608447";

/// What is said when the next set begins to connect.
pub(super) const WARMING: &str = "the new set connects beside the old one";

/// What is said when it begins to take over.
pub(super) const SWITCHING: &str = "is ready and takes over";

/// What is said when it is done.
pub(super) const DONE: &str = "the number of shards has changed";

/// What is said when the store does not answer.
const AWAY: &str = "the store is away: shards go on";

/// What a scene begins with.
pub(super) struct Setup {
    name: &'static str,
    replicas: usize,
    variables: Vec<(&'static str, &'static str)>,
    /// Discord, with two shards at first.
    pub(super) discord: Config,
}

impl Setup {
    /// So many replicas; `count` is what is configured.
    pub(super) fn new(name: &'static str, replicas: usize, count: &'static str) -> Self {
        let variables = vec![
            ("DISCORD_TOKEN", "sim.token"),
            ("DISCORD_INTENTS", ALL_INTENTS),
            ("DISCORD_SHARD_COUNT", count),
            ("AMQP_PREFIX", name),
            // Replicas that a busy machine holds up for seconds are not taken for dead.
            ("WS_LEASE_TTL", "6s"),
            ("WS_RESHARD_INTERVAL", "1s"),
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("NO_COLOR", "1"),
        ];
        let discord = Config {
            shards: 2,
            guilds: 24,
            guild_channels: 3,
            guild_roles: 2,
            guild_members: 10,
            max_concurrency: 16,
            ..Config::default()
        };
        Self {
            name,
            replicas,
            variables,
            discord,
        }
    }

    /// Sets a variable of all replicas.
    pub(super) fn set(&mut self, name: &'static str, value: &'static str) {
        self.variables.push((name, value));
    }

    /// Starts everything; returns when both shards are connected and events come.
    pub(super) async fn start(self) -> Result<Scene> {
        tests::crypto();
        let rabbit = Rabbit::shared();
        let counter = Counter::start(&rabbit.url(), self.name, Queue::Classic).await?;
        let worker = Worker::connect(rabbit, &steps_queue(self.name)).await?;
        let events = format!("{}.events", self.name);
        worker.bind(&events, "*.GATEWAY_RESHARD.#").await?;
        worker.close().await?;
        let sim = Sim::start(self.discord).await?;
        let mut fleet = Fleet::new(gateway_ws()?)?;
        fleet.set("DISCORD_API_URL", &sim.api_url());
        fleet.set("AMQP_URL", &rabbit.url());
        for (name, value) in self.variables {
            fleet.set(name, value);
        }
        let redis = (self.replicas > 1).then(Redis::start).transpose()?;
        if let Some(redis) = &redis {
            fleet.set("REDIS_URL", &redis.url());
        }
        for slot in 0..self.replicas {
            fleet.start(slot)?;
        }
        sim.wait_for("both shards", PATIENCE, State::is_ready)
            .await?;
        let scene = Scene {
            name: self.name,
            sim,
            fleet,
            counter,
            redis,
            ordered: 0,
            has_killed: false,
        };
        scene.emit()?;
        scene.events().await?;
        Ok(scene)
    }
}

/// The queue for what workers are told of a change.
fn steps_queue(name: &str) -> String {
    format!("{name}-steps")
}

/// Replicas under load, and a worker that counts.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) sim: Sim,
    pub(super) fleet: Fleet,
    counter: Counter,
    redis: Option<Redis>,
    /// How many events were ordered beside the load.
    pub(super) ordered: u64,
    /// Whether a replica was killed, and with it what it was about to tell.
    has_killed: bool,
}

impl Scene {
    /// Discord emits events from now on.
    pub(super) fn emit(&self) -> Result<()> {
        Ok(self.sim.start_emission(EmitRequest {
            rate: Some(300.0),
            ..EmitRequest::default()
        })?)
    }

    /// Discord changes these settings.
    pub(super) fn change(&self, settings: &Value) -> Result<()> {
        let settings = settings.as_object().context("settings are an object")?;
        self.sim.change_settings(settings)?;
        Ok(())
    }

    /// Discord recommends four shards from now on.
    pub(super) fn recommend_four(&self) -> Result<()> {
        self.change(&json!({ "shards": 4 }))
    }

    /// Replaces a replica by one that is configured with this number of shards.
    pub(super) async fn replace(&mut self, slot: usize, count: &str) -> Result<()> {
        self.fleet.set("DISCORD_SHARD_COUNT", count);
        self.fleet.terminate(slot).await?;
        self.fleet.start(slot)
    }

    /// Stops all replicas in good order at the same time, and starts as many again.
    pub(super) async fn restart(&mut self) -> Result<()> {
        let slots = self.fleet.slots();
        self.fleet.terminate_all().await?;
        slots.iter().try_for_each(|slot| self.fleet.start(*slot))
    }

    /// Ends a replica by SIGKILL.
    pub(super) fn kill(&mut self, slot: usize) -> Result<()> {
        self.has_killed = true;
        self.fleet.kill(slot)
    }

    /// Takes the store away, until all replicas have noticed.
    pub(super) async fn lose_store(&mut self) -> Result<()> {
        let wanted = self.fleet.count_in_logs(AWAY) + self.fleet.slots().len();
        self.redis.as_mut().context("there is one")?.kill()?;
        let noticed = |scene: &Self| scene.fleet.count_in_logs(AWAY) >= wanted;
        self.until("the loss of the store", noticed).await
    }

    /// Brings the store back with what it knew.
    pub(super) fn return_store(&mut self) -> Result<()> {
        self.redis.as_mut().context("there was one")?.restart()
    }

    /// Stops a replica that cannot have heard of a step which another one has just said: the store does not answer
    /// until it has noticed that.
    pub(super) async fn stop_unaware(&mut self, step: &str) -> Result<()> {
        self.redis.as_ref().context("there is one")?.pause()?;
        let has_said = |fleet: &Fleet, slot, text| {
            let replica = fleet.replica(slot);
            replica.is_ok_and(|it| it.log().contains(text))
        };
        let mut slots = self.fleet.slots().into_iter();
        let slot = slots.find(|slot| !has_said(&self.fleet, *slot, step));
        let slot = slot.context("all have said it")?;
        self.fleet.tell_to_end(slot)?;
        let noticed = |scene: &Self| has_said(&scene.fleet, slot, AWAY);
        self.until("a replica that misses the store", noticed)
            .await?;
        self.redis.as_ref().context("there is one")?.resume()?;
        self.fleet.gone(slot).await
    }

    /// Waits until a replica says this.
    pub(super) async fn until_said(&mut self, text: &str) -> Result<()> {
        self.until(text, |scene| scene.has_said(text)).await
    }

    /// Whether a replica has said this.
    pub(super) fn has_said(&self, text: &str) -> bool {
        self.fleet.count_in_logs(text) > 0
    }

    pub(super) async fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) -> Result<()> {
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

    /// The sum of what all replicas say of a metric.
    pub(super) async fn metric(&self, name: &str) -> Result<u64> {
        let mut sum = 0;
        for slot in self.fleet.slots() {
            sum += Page::of(self.fleet.replica(slot)?).await?.sum(name, "");
        }
        Ok(sum)
    }

    /// Checks, at rest, that the ledger of each replica balances.
    async fn balances(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for slot in self.fleet.slots() {
            let replica = self.fleet.replica(slot)?;
            while let Err(error) = Page::of(replica).await?.balances() {
                // The last confirm may be on its way.
                ensure!(Instant::now() < deadline, "{error}\n{}", replica.log());
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Waits until a set of this size has all its sessions.
    pub(super) async fn connected(&self, count: u32) -> Result<()> {
        let wanted = |state: &State| connected(state, count).len() == count as usize;
        self.sim.wait_for("the set", PATIENCE, wanted).await?;
        Ok(())
    }

    /// Waits for some events more.
    pub(super) async fn events(&self) -> Result<()> {
        let before = self.sim.state().generated;
        let more = |state: &State| state.generated > before + 300;
        self.sim.wait_for("events", PATIENCE, more).await?;
        Ok(())
    }

    /// The load stops, and every event comes. Returns the number of the last.
    pub(super) async fn pause(&mut self) -> Result<u64> {
        self.sim.stop_emission().await;
        let last = self.sim.state().generated + self.ordered;
        self.until("every event", |scene| {
            scene.counter.tally().marked(last).0.is_empty()
        })
        .await
        .with_context(|| {
            let missing = self.counter.tally().marked(last).0;
            format!("{} of {last} events are lost: {missing:?}", missing.len())
        })?;
        Ok(last)
    }

    /// Ends the load and judges: every event came, under one id; the set of this size is closed for good; so
    /// many sessions were begun; workers were told each step; no rule was broken.
    pub(super) async fn finish(self, closed: u32, identifies: u64) -> Result<()> {
        let scene = self.judged(closed, identifies).await?;
        let is_over = |state: &State| {
            let mut of_set = state.sessions.iter().filter(|it| it.shard[1] == closed);
            of_set.all(|session| session.ended.is_some())
        };
        let state = scene
            .sim
            .wait_for("the end of a set", PATIENCE, is_over)
            .await
            .with_context(|| {
                let log = scene.sim.state().connection_log;
                format!("{log:#?}\n{}", scene.logs())
            })?;
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

    /// Like [`Scene::finish`], but the last sessions of the set may have been left to expire.
    pub(super) async fn judged(mut self, closed: u32, identifies: u64) -> Result<Self> {
        self.events().await?;
        let last = self.pause().await?;
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
        self.balances().await?;
        self.told(closed).await?;
        Ok(self)
    }

    /// Checks what workers were told: each step once, and in order.
    async fn told(&self, closed: u32) -> Result<()> {
        let last = match closed {
            2 => ReshardPhase::Done,
            _ => ReshardPhase::Abandoned,
        };
        let worker = Worker::connect(Rabbit::shared(), &steps_queue(self.name)).await?;
        let (mut ids, mut phases, mut wrong) = (BTreeSet::new(), Vec::new(), Ok(()));
        worker
            .take_until(|delivery| match step(delivery) {
                Ok((id, phase)) => {
                    ids.insert(id);
                    phases.push(phase);
                    phase == last
                }
                Err(error) => {
                    wrong = Err(error);
                    true
                }
            })
            .await?;
        worker.close().await?;
        wrong?;
        ensure!(ids.len() == phases.len(), "an id came twice: {ids:?}");
        let mut expected = vec![ReshardPhase::Warming, ReshardPhase::Switching, last];
        expected.retain(|phase| last == ReshardPhase::Done || *phase != ReshardPhase::Switching);
        if self.has_killed {
            expected.retain(|phase| phases.contains(phase));
        }
        ensure!(phases == expected, "workers were told {phases:?}");
        Ok(())
    }

    pub(super) async fn end(mut self) -> Result<()> {
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

/// The id of a message about a change, and how far that is, after a look at what is around it.
fn step(delivery: &Delivery) -> Result<(String, ReshardPhase)> {
    let event = Event::decode(delivery.data.as_slice())?;
    ensure!(event.source() == Source::Gateway, "{event:?}");
    ensure!(event.name == "GATEWAY_RESHARD", "{event:?}");
    let id = delivery.properties.message_id().as_ref();
    ensure!(id.is_some_and(|id| id.as_str() == event.id), "{event:?}");
    let Some(Data::GatewayReshard(reshard)) = event.data else {
        anyhow::bail!("nothing about a change: {event:?}");
    };
    ensure!(
        (reshard.from_count, reshard.to_count) == (2, 4),
        "{reshard:?}"
    );
    ensure!(!reshard.detail.is_empty(), "{reshard:?}");
    Ok((event.id, reshard.phase()))
}
