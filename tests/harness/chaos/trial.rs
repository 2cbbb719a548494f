//! One scenario under way: a simulated Discord under load, a fleet, a broker, a state store and a worker that counts.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use sim::{Config, EmitRequest, EmittedQuery, Sim};
use tokio::time::{Instant, sleep};

use super::{Row, Stage, row::Promise};
use crate::{
    cluster::Cluster,
    counter::{Counter, Queue},
    fleet::Fleet,
    rabbitmq::Rabbit,
    redis::Redis,
    tally::Account,
};

/// How long the fleet may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may come before what is missing counts as lost.
const SILENCE: Duration = Duration::from_secs(30);
/// How long nothing must come before nothing more is expected.
const QUIET: Duration = Duration::from_millis(500);
/// How often we look.
const LOOK: Duration = Duration::from_millis(100);
/// All intents that Discord defines.
const ALL_INTENTS: &str = "53608447";
/// How long a lease lasts.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// The broker of a scenario.
#[derive(Debug)]
pub(super) enum Bus {
    /// One that other tests use too.
    Shared,
    /// One that may be stopped.
    Own(Rabbit),
    /// Three nodes.
    Cluster(Cluster),
}

/// What is particular to a scenario.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) bus: Bus,
    pub(super) replicas: usize,
    pub(super) variables: Vec<(&'static str, &'static str)>,
    pub(super) sim: Config,
    /// Events per second; nothing: as many as the fleet takes.
    pub(super) rate: Option<f64>,
}

impl Setup {
    /// Three replicas, and the shards and the rate of the stage.
    pub(super) fn new(stage: &Stage) -> Self {
        let shards = stage.length.shards;
        let sim = Config {
            shards,
            max_concurrency: shards,
            guilds: shards * 8,
            guild_channels: 3,
            guild_roles: 2,
            guild_members: 10,
            // All shards of a fleet may lose their connection at the same moment.
            max_connections_per_second: 200,
            ..Config::default()
        };
        Self {
            bus: Bus::Shared,
            replicas: 3,
            variables: Vec::new(),
            sim,
            rate: Some(stage.length.rate),
        }
    }
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) stage: Stage,
    pub(super) sim: Sim,
    pub(super) bus: Bus,
    pub(super) redis: Redis,
    pub(super) fleet: Fleet,
    counter: Counter,
    /// Identifies that had to be.
    identifies: u64,
    rate: Option<f64>,
    begun: Instant,
}

impl Trial {
    /// Starts everything, waits until all shards are ready, and lets events come.
    pub(super) async fn begin(stage: Stage, setup: Setup) -> Result<Self> {
        crate::crypto();
        let (url, queue) = match &setup.bus {
            Bus::Shared => (Rabbit::shared().url(), Queue::Classic),
            Bus::Own(rabbit) => (rabbit.url(), Queue::Classic),
            Bus::Cluster(cluster) => (cluster.url(), Queue::Quorum),
        };
        let counter = Counter::start(&url, stage.name, queue).await?;
        let (sim, redis) = (Sim::start(setup.sim).await?, Redis::start()?);
        let mut fleet = Fleet::new(&stage.program)?;
        let lease = format!("{}s", LEASE.as_secs());
        for (name, value) in [
            ("DISCORD_TOKEN", "sim.token"),
            ("DISCORD_API_URL", &sim.api_url()),
            ("DISCORD_INTENTS", ALL_INTENTS),
            ("AMQP_URL", &url),
            ("AMQP_PREFIX", stage.name),
            ("REDIS_URL", &redis.url()),
            ("WS_LEASE_TTL", &lease),
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("NO_COLOR", "1"),
        ] {
            fleet.set(name, value);
        }
        for (name, value) in setup.variables {
            fleet.set(name, value);
        }
        for slot in 0..setup.replicas {
            fleet.start(slot)?;
        }
        let mut trial = Self {
            identifies: 0,
            rate: setup.rate,
            begun: Instant::now(),
            stage,
            sim,
            bus: setup.bus,
            redis,
            fleet,
            counter,
        };
        let ready = trial.ready().await;
        trial.with_logs(ready)?;
        trial.identifies = trial.sim.state().identifies;
        trial.begun = Instant::now();
        trial.emit()?;
        Ok(trial)
    }

    async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.sim.is_ready() {
            self.fleet.all_alive()?;
            ensure!(Instant::now() < deadline, "the fleet does not get ready");
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Lets events come, again.
    pub(super) fn emit(&self) -> Result<()> {
        let rate = self.rate;
        Ok(self.sim.start_emission(EmitRequest {
            rate,
            ..EmitRequest::default()
        })?)
    }

    /// A part of the scenario's time.
    pub(super) fn part(&self, part: f64) -> Duration {
        Duration::from_secs(self.stage.length.seconds).mul_f64(part)
    }

    /// Whether the scenario's time is not over.
    pub(super) fn goes_on(&self) -> bool {
        self.begun.elapsed() < self.part(1.0)
    }

    /// Lets time pass, and looks after the fleet.
    pub(super) async fn wait(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
            self.fleet.measure();
            let alive = self.fleet.all_alive();
            self.with_logs(alive)?;
        }
        Ok(())
    }

    /// Lets the rest of the scenario's time pass.
    pub(super) async fn wait_for_the_end(&mut self) -> Result<()> {
        let passed = self.begun.elapsed();
        self.wait(self.part(1.0).saturating_sub(passed)).await
    }

    /// Some sessions were ended on purpose: so many identifies more have to be.
    pub(super) fn expect_identifies(&mut self, count: u64) {
        self.identifies += count;
    }

    /// Ends the load and waits until everything has come that can come.
    pub(super) async fn settle(&mut self) -> Result<Account> {
        self.sim.stop_emission().await;
        let (mut messages, mut newest) = (0, Instant::now());
        loop {
            self.wait(LOOK).await?;
            let now = self.counter.tally().messages();
            if now > messages {
                (messages, newest) = (now, Instant::now());
                continue;
            }
            let silence = newest.elapsed();
            if silence < QUIET {
                continue;
            }
            // In this order: what came to be sent in between is missing at worst, and waited for.
            let account = self.account();
            if account.lost() == 0 || silence > SILENCE {
                return Ok(account);
            }
        }
    }

    fn account(&self) -> Account {
        let (emitted, state) = (self.sim.emitted(&EmittedQuery::default()), self.sim.state());
        self.counter.tally().account(&emitted, &state)
    }

    /// Ends everything and judges it.
    pub(super) async fn finish(mut self, promise: Promise) -> Result<Row> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let account = self.settle().await?;
        let state = self.sim.state();
        let ended = self.fleet.terminate_all().await;
        let row = {
            let tally = self.counter.tally();
            Row {
                scenario: self.stage.name,
                seconds,
                account,
                identifies: state.identifies.saturating_sub(self.identifies),
                violations: state.violation_counts.into_iter().collect(),
                gap: Duration::from_millis(state.longest_gap_ms),
                memory: self.fleet.largest(),
                half: tally.latency().quantile(0.5),
                nearly_all: tally.latency().quantile(0.99),
                broken: Vec::new(),
            }
        };
        let mut row = row.judge(&promise, self.stage.length.strict);
        if let Err(error) = ended {
            row.broken.push(format!("{error:#}"));
        }
        let panics = self.fleet.count_in_logs("panicked");
        if panics > 0 {
            row.broken.push(format!("{panics} panics"));
        }
        if !row.broken.is_empty() {
            let folder = self.write_logs()?;
            let logs = format!("the replicas' logs are in {}", folder.display());
            row.broken.push(logs);
        }
        Ok(row)
    }

    /// Keeps the logs when something failed.
    pub(super) fn with_logs<T, E>(&self, result: Result<T, E>) -> Result<T>
    where
        anyhow::Error: From<E>,
    {
        if result.is_err() {
            self.write_logs()?;
        }
        Ok(result?)
    }

    fn write_logs(&self) -> Result<PathBuf> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
        let folder = target.join("chaos").join(self.stage.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        self.fleet.write_logs(&folder)?;
        Ok(folder)
    }
}
