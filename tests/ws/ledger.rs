//! The ledger of `/metrics`: whatever happens, no event is missing from it.

use anyhow::{Context as _, Result, ensure};
use sim::{Config, EmitRequest, State};
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time::{self, Duration, Instant};

use super::{stage::PATIENCE, system};

/// What `/metrics` says at one moment.
pub(crate) struct Page(String);

impl Page {
    pub(crate) async fn of(service: &Service) -> Result<Self> {
        let url = format!("{}/metrics", service.admin().await?);
        Ok(Self(reqwest::get(&url).await?.text().await?))
    }

    /// The sum of all series of a metric whose labels hold this text.
    pub(crate) fn sum(&self, name: &str, label: &str) -> u64 {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let fits = labels.is_empty() || labels.starts_with('{');
            (fits && labels.contains(label)).then(|| value.parse::<u64>().ok())?
        });
        values.sum()
    }

    fn ws(&self, name: &str) -> u64 {
        self.sum(&format!("gateway_ws_{name}"), "")
    }

    fn broker(&self, name: &str) -> u64 {
        self.sum(&format!("gateway_broker_{name}"), "")
    }

    /// Checks all three equations of the README.
    pub(crate) fn balances(&self) -> Result<()> {
        let became = [
            "filtered_total",
            "held",
            "published_total",
            "returned_total",
        ];
        let became: u64 = became.map(|name| self.ws(name)).iter().sum();
        let became = became + self.ws("dropped_total");
        ensure!(self.ws("received_total") == became, "{}", self.0);
        let given = self.ws("published_total") + self.ws("status_events_total");
        let given = given + self.broker("events_found_total");
        ensure!(self.broker("events_total") == given, "{}", self.0);
        let places = ["confirmed_total", "waiting", "spooled", "dropped_total"];
        let places: u64 = places
            .map(|name| self.broker(&format!("events_{name}")))
            .iter()
            .sum();
        ensure!(self.broker("events_total") == places, "{}", self.0);
        Ok(())
    }
}

/// Waits until so many events of shards are confirmed.
pub(super) async fn until_confirmed(service: &Service, events: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = Page::of(service).await?;
        if page.sum("gateway_ws_shard_events_total", "step=\"confirmed\"") >= events {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{}", page.0);
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing is on its way any more.
async fn at_rest(service: &Service) -> Result<Page> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let page = Page::of(service).await?;
        let received = page.ws("received_total");
        let on_the_way = page.broker("events_waiting") + page.broker("events_spooled");
        if received == before && on_the_way == 0 {
            return Ok(page);
        }
        ensure!(Instant::now() < deadline, "{}", page.0);
        before = received;
        time::sleep(Duration::from_millis(700)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_balances_after_a_lost_broker_and_lost_connections() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let config = Config {
        shards: 2,
        max_concurrency: 2,
        guilds: 6,
        ..Config::default()
    };
    let mut stage = system::stage(&rabbit, config, "ledger").await?;
    let wanted = "READY,RESUMED,GUILD_CREATE,MESSAGE_CREATE,PRESENCE_UPDATE";
    stage.set("DISCORD_EVENTS", wanted);
    stage.set("WS_STALL_TIMEOUT", "1s");
    stage.set("AMQP_WINDOW", "1MiB");
    let service = system::start_bound(&stage, &rabbit, "ledger").await?;
    rabbit.settle()?;
    let request = EmitRequest {
        rate: Some(1_000.0),
        ..EmitRequest::default()
    };
    stage.sim.start_emission(request)?;
    let more = |than: u64| move |state: &State| state.generated > than + 1_000;
    stage.sim.wait_for("events", PATIENCE, more(0)).await?;
    stage.sim.drop_connections(None)?;
    rabbit.kill()?;
    let stalled = || Ok(service.log().contains("the broker takes no events"));
    service.until("a full window", stalled).await?;
    rabbit.restart()?;
    // Both lost their connections, and one of them at least had to give way; the other may have come back after the broker.
    let resumed = |state: &State| state.resumes >= 3 && state.is_ready();
    stage.sim.wait_for("resumes", PATIENCE, resumed).await?;
    let now = stage.sim.state().generated;
    stage.sim.wait_for("events", PATIENCE, more(now)).await?;
    stage.sim.stop_emission().await;
    let page = at_rest(&service).await?;
    page.balances()?;
    for name in ["filtered_total", "published_total", "returned_total"] {
        ensure!(page.ws(name) > 0, "nothing was {name}: {}", page.0);
    }
    let dispatched = stage.dispatched().len() as u64;
    let unique = page.ws("received_total") - page.ws("returned_total");
    ensure!(unique >= dispatched, "{unique} of {dispatched}");
    let step = |step: &str| page.sum("gateway_ws_shard_events_total", step);
    ensure!(step("received") == page.ws("received_total"), "{}", page.0);
    ensure!(step("published") == step("confirmed"), "{}", page.0);
    service.terminate().context("its end")?;
    Ok(())
}
