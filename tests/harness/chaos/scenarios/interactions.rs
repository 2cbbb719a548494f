//! Interactions over HTTP, while workers do what they like, the broker goes away and replicas are replaced.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use futures_util::future::{join, try_join_all};
use serde_json::{Value, json};
use sim::{Interact, Interacted};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::{
    balancer::Balancer,
    chaos::{self, Row, row::Promise},
    interactions::{
        Stage, Worker,
        stage::{content, is_sorry, ready},
    },
    rabbitmq::Rabbit,
    server::free_ports,
    service::Service,
    tally::{Account, Histogram},
};

/// What workers do, and with how many of ten: they answer at once, late, never, twice, and with garbage.
const MANNERS: [(&str, u32); 5] = [
    ("n4", 4),
    ("late4", 2),
    ("never", 1),
    ("twice", 2),
    ("garbage", 1),
];

/// How long Discord waits before an interaction is deferred, and how late a late worker is.
const DEFER: &str = "2s";
const LATE: Duration = Duration::from_secs(4);

/// How many interactions may be under way: more than ever wait, even if each is deferred.
const AT_ONCE: usize = 4096;

/// How long all goes well before the broker is killed, at least.
const BEFORE: Duration = Duration::from_millis(300);

/// How long a replica is left alone.
const SETTLING: Duration = Duration::from_millis(500);

/// Interactions a second while replicas are replaced.
const RATE: u32 = 50;

/// Workers that behave in every way, and a broker that is killed in the middle. What goes well before and afterwards is
/// answered as it should be, what happens meanwhile is answered.
pub(super) async fn rabbitmq_restarted(chaos: chaos::Stage) -> Result<Row> {
    let rabbit = spawn_blocking(Rabbit::start).await??;
    let mut stage = stage(&chaos, &rabbit).await?;
    stage.set("INTERACTION_DEFER_AFTER", DEFER);
    // Those who never answer are not waited for.
    stage.set("INTERACTION_LINGER", "1s");
    let (service, url) = stage.http().await?;
    let api = stage.api().await?;
    let mut worker = Worker::connect(&rabbit.url(), &stage.prefix, LATE).await?;
    let mut run = Run::new(&chaos, &stage);
    let before = run.send(&url, 4).await?;
    run.judge(before).await?;

    let (sent, restarted) = join(run.send(&url, 2), restart(rabbit)).await;
    let (during, rabbit) = (sent?, restarted?);
    run.all.extend(during);
    worker.close().await.ok();
    ready(&service).await?;
    ready(&api).await?;
    worker = Worker::connect(&rabbit.url(), &stage.prefix, LATE).await?;

    let after = run.send(&url, 4).await?;
    run.judge(after).await?;
    worker.close().await?;
    run.finish([service, api].into()).await
}

/// Kills the broker while it is busy, and starts it again.
async fn restart(mut rabbit: Rabbit) -> Result<Rabbit> {
    sleep(BEFORE).await;
    spawn_blocking(move || {
        rabbit.kill()?;
        rabbit.restart()?;
        Ok(rabbit)
    })
    .await?
}

/// Three replicas, of which each in turn is ended by SIGTERM and replaced: no interaction fails, and what was deferred gets its
/// message.
pub(super) async fn rolling_sigterm(chaos: chaos::Stage) -> Result<Row> {
    let stage = stage(&chaos, Rabbit::shared()).await?;
    let ports = free_ports::<3>()?;
    let replicas = try_join_all(ports.map(|port| stage.http_at(port))).await?;
    let mut replicas: Vec<Service> = replicas.into_iter().map(|(replica, _)| replica).collect();
    let api = stage.api().await?;
    let worker = Worker::start(Rabbit::shared(), &stage.prefix).await?;
    let balancer = Balancer::start(ports.to_vec()).await?;
    let url = format!("http://127.0.0.1:{}/interactions", balancer.port());
    let mut run = Run::new(&chaos, &stage);
    let is_over = AtomicBool::new(false);
    let load = async {
        let mut all = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let orders = [("n4", 9), ("late4", 1)];
            all.extend(send(&stage, &url, orders.into(), RATE / 10, RATE, true).await?);
        }
        Ok::<_, anyhow::Error>(all)
    };
    let rolling = async {
        let rolled = roll(&stage, &mut replicas, ports, chaos.length.seconds).await;
        is_over.store(true, Ordering::Relaxed);
        rolled
    };
    let (sent, rolled) = join(load, rolling).await;
    rolled?;
    run.settle(sent?).await?;
    worker.close().await?;
    replicas.push(api);
    run.finish(replicas).await
}

/// Replaces each replica once, and goes on with that for so long.
async fn roll(
    stage: &Stage,
    replicas: &mut Vec<Service>,
    ports: [u16; 3],
    seconds: u64,
) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut round = 0;
    while round == 0 || Instant::now() < end {
        for port in ports {
            sleep(SETTLING).await;
            // The oldest.
            let replica = replicas.remove(0);
            let ended = spawn_blocking(move || replica.terminate()).await??;
            ensure!(ended.status.success(), "{}", ended.log);
            replicas.push(stage.http_at(port).await?.0);
        }
        round += 1;
    }
    Ok(())
}

async fn stage(chaos: &chaos::Stage, rabbit: &Rabbit) -> Result<Stage> {
    let programs = chaos.program.parent().unwrap_or(Path::new(""));
    Stage::with(programs, &rabbit.url(), chaos.name).await
}

/// Sends interactions of each manner, so many times as often as `times` says, and waits for the answers.
async fn send(
    stage: &Stage,
    url: &str,
    manners: Vec<(&'static str, u32)>,
    times: u32,
    rate: u32,
    is_new: bool,
) -> Result<Vec<(&'static str, Interacted)>> {
    let whole: u32 = manners.iter().map(|(_, share)| share).sum();
    let sending = manners.into_iter().map(async |(name, share)| {
        let order = Interact {
            url: url.to_owned(),
            name: name.to_owned(),
            count: share * times,
            concurrency: AT_ONCE,
            rate: (rate * share / whole).max(1),
            is_new,
            ..Interact::default()
        };
        let sent = stage.sim.interact(&order).await?;
        Ok::<_, anyhow::Error>(sent.into_iter().map(move |it| (name, it)))
    });
    Ok(try_join_all(sending).await?.into_iter().flatten().collect())
}

/// The interactions of a scenario, and what was wrong with them.
struct Run<'a> {
    chaos: &'a chaos::Stage,
    stage: &'a Stage,
    begun: Instant,
    all: Vec<(&'static str, Interacted)>,
    /// How long those took that were answered at once.
    took: Histogram,
    broken: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(chaos: &'a chaos::Stage, stage: &'a Stage) -> Self {
        Self {
            chaos,
            stage,
            begun: Instant::now(),
            all: Vec::new(),
            took: Histogram::default(),
            broken: Vec::new(),
        }
    }

    /// Sends so many tenths of all.
    async fn send(&self, url: &str, tenths: u32) -> Result<Vec<(&'static str, Interacted)>> {
        let length = self.chaos.length;
        let seconds = u32::try_from(length.seconds)?.max(1);
        let (times, rate) = (
            length.interactions / 100 * tenths,
            length.interactions / seconds,
        );
        send(self.stage, url, MANNERS.into(), times, rate, false).await
    }

    /// Looks whether each was answered as the worker's manners ask for, and waits for what follows.
    async fn judge(&mut self, sent: Vec<(&'static str, Interacted)>) -> Result<()> {
        for (name, it) in &sent {
            let kind = it.answer.as_ref().map_or(&Value::Null, |it| &it["type"]);
            let is_right = match *name {
                "garbage" => is_sorry(it),
                "late4" | "never" => *kind == json!(5),
                _ => *kind == json!(4) && content(it) == "said by the worker",
            };
            // A machine that has other things to do may be late.
            let is_late = !self.chaos.length.strict && *kind == json!(5);
            if !is_right && !is_late {
                self.broken.push(format!("{name} was answered {it:?}"));
            }
            if *name == "n4" {
                self.took.record((it.took_ms * 1000.0) as u64);
            }
        }
        self.settle(sent).await
    }

    /// Waits until the late answers have come: an edit of what was deferred, a message after what was answered.
    async fn settle(&mut self, sent: Vec<(&'static str, Interacted)>) -> Result<()> {
        for (name, it) in sent {
            let is_deferred = it.answer.as_ref().is_some_and(|it| it["type"] == 5);
            let it = match name {
                "twice" => self.stage.follows(it, |it| it.followups == 1).await?,
                "late4" | "n4" if is_deferred => self.stage.follows(it, |it| it.edits == 1).await?,
                _ => it,
            };
            if it.status != Some(200) {
                self.broken.push(format!("{name} was answered {it:?}"));
            }
            self.all.push((name, it));
        }
        Ok(())
    }

    /// Ends the services, and counts.
    async fn finish(self, services: Vec<Service>) -> Result<Row> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut broken = self.broken;
        let mut memory = 0;
        for service in services {
            memory = memory.max(service.peak()?);
            let ended = spawn_blocking(move || service.terminate()).await??;
            if !ended.status.success() || ended.log.contains("panicked") {
                broken.push(ended.log);
            }
        }
        let unanswered = self.all.iter().filter(|(_, it)| it.status.is_none());
        let missing: Vec<_> = unanswered.map(|(_, it)| it.id.to_string()).collect();
        let sent = self.stage.sim.interactions();
        ensure!(sent.sent == self.all.len() as u64, "{sent:?}");
        let account = Account {
            emitted: sent.sent,
            received: sent.sent - missing.len() as u64,
            missing,
            ..Account::default()
        };
        broken.truncate(5);
        let row = Row {
            scenario: self.chaos.name,
            seconds,
            account,
            identifies: 0,
            violations: self
                .stage
                .sim
                .state()
                .violation_counts
                .into_iter()
                .collect(),
            gap: Duration::ZERO,
            memory,
            half: self.took.quantile(0.5),
            nearly_all: self.took.quantile(0.99),
            broken,
        };
        Ok(row.judge(&Promise::default(), self.chaos.length.strict))
    }
}
