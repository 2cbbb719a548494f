//! `gateway-ws` as a whole, beside a process that does nothing but read, decompress and publish the raw
//! JSON through the AMQP client: CPU time of an event, events a second, memory, and how late they come.
//!
//! `make bench` gives it a private RabbitMQ; by hand:
//! `cargo bench -p bench --bench service -- URL target/release/gateway-ws [PART…]`, where the parts are
//! `flood`, `steady`, `batches`, `memory` and `latency`. The ratio is of one run, in
//! which both take turns. The simulated Discord runs in the process that measures.

mod latency;
mod process;
mod reference;
mod sink;
mod turn;

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use bench::summary::Summary;
use sim::{Config, EmitRequest, Sim};

use self::{process::Way, sink::Sink, turn::Turn};

/// Events of a turn.
const EVENTS: u64 = 100_000;

/// How often the ways that are compared take turns.
const ROUNDS: usize = 3;

/// Shards of the run that looks at memory.
const SHARDS: u32 = 16;

/// Where everything is.
struct Place {
    /// The broker.
    amqp: String,
    /// The program.
    gateway_ws: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|each| !each.starts_with("--"))
        .collect();
    if let [word, amqp, gateway] = arguments.as_slice()
        && word == reference::WORD
    {
        return reference::run(amqp, gateway).await;
    }
    let given = arguments.iter().position(|each| each.starts_with("amqp"));
    let Some([amqp, gateway_ws]) = given.and_then(|at| arguments.get(at..at + 2)) else {
        println!("service: no AMQP URL and no program given, nothing measured (make bench does)");
        return Ok(());
    };
    let place = Place {
        amqp: amqp.clone(),
        gateway_ws: env::current_dir()?.join(gateway_ws),
    };
    let parts = arguments.get(given.unwrap_or(0) + 2..).unwrap_or_default();
    let sink = Sink::open(&place.amqp).await?;
    let summary = measure(&place, parts).await?;
    sink.close().await?;
    println!("\n{summary}");
    Ok(())
}

/// Measures these parts, or all.
async fn measure(place: &Place, parts: &[String]) -> Result<Summary> {
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|each| each == part);
    let mut summary = Summary::new("gateway-ws");
    if is_wanted("flood") {
        let ways = [Way::Ours, Way::Reference];
        let [ours, reference] = compare(place, "at full speed", &flood(), ways).await?;
        summary.at_most("CPU µs/event at full speed", ours.cpu(), 8.0);
        let ratio = ours.cpu() / reference.cpu();
        summary.at_most("  the same, to the reference", ratio, 0.5);
    }
    if is_wanted("steady") {
        let ways = [Way::Ours, Way::Reference];
        let [ours, reference] = compare(place, "at 2,000 a second", &steady(), ways).await?;
        summary.add("CPU µs/event at 2,000 a second", ours.cpu());
        let ratio = ours.cpu() / reference.cpu();
        summary.at_most("  the same, to the reference", ratio, 0.5);
    }
    if is_wanted("batches") {
        let presences = EmitRequest {
            mix: Some("PRESENCE_UPDATE".parse()?),
            ..flood()
        };
        let ways = [Way::Ours, Way::Batched, Way::Reference];
        let what = "nothing but presences at full speed";
        let [ours, batched, reference] = compare(place, what, &presences, ways).await?;
        summary.at_most("CPU µs/event of presences in batches", batched.cpu(), 4.0);
        let ratio = batched.cpu() / reference.cpu();
        summary.add("  the same, to the reference", ratio);
        let times = batched.rate() / ours.rate();
        summary.add("  events/s, to one message for each", times);
    }
    if is_wanted("memory") {
        let [idle, most] = memory(place).await?;
        summary.at_most("RSS in MB, 16 shards, after the start", idle, 40.0);
        summary.at_most("RSS in MB, 16 shards, at full speed", most, 40.0);
    }
    if is_wanted("latency") {
        let [median, late] = latency::measure(place).await?;
        summary.at_most("ms from Discord to a worker, p50", median, 1.0);
        summary.at_most("ms from Discord to a worker, p99", late, 5.0);
    }
    Ok(summary)
}

/// A simulated Discord.
async fn discord(shards: u32) -> Result<Sim> {
    let config = Config {
        shards,
        max_concurrency: SHARDS,
        guilds: 10 * shards,
        ..Config::default()
    };
    Sim::start(config).await.context("the simulator")
}

/// As many events as are read.
fn flood() -> EmitRequest {
    EmitRequest {
        count: Some(EVENTS),
        ..EmitRequest::default()
    }
}

/// What a large bot gets, while the broker has nothing else to do.
fn steady() -> EmitRequest {
    EmitRequest {
        count: Some(EVENTS / 5),
        rate: Some(2_000.0),
        ..EmitRequest::default()
    }
}

/// Processes in turns; returns what each took.
async fn compare<const N: usize>(
    place: &Place,
    what: &str,
    emission: &EmitRequest,
    ways: [Way; N],
) -> Result<[Turn; N]> {
    println!("\nevents {what}: one shard over zstd, one queue bound, {ROUNDS} rounds");
    println!(
        "{:<44} {:>10} {:>12} {:>10}",
        "way", "events/s", "CPU µs/event", "RSS MB"
    );
    let mut sums = ways.map(|_| Turn::default());
    for _ in 0..ROUNDS {
        for (sum, way) in sums.iter_mut().zip(ways) {
            let sim = discord(1).await?;
            let process = process::start(way, place, &sim).await?;
            sum.add(&turn::take(&process, &sim, emission.clone()).await?);
            process.stop()?;
            sim.stop().await;
        }
    }
    for (sum, way) in sums.iter().zip(ways) {
        println!(
            "{:<44} {:>10.0} {:>12.1} {:>10.1}",
            way.describe(),
            sum.rate(),
            sum.cpu(),
            sum.resident
        );
    }
    Ok(sums)
}

/// The megabytes that many shards take after the start, and at most in a flood.
async fn memory(place: &Place) -> Result<[f64; 2]> {
    let sim = discord(SHARDS).await?;
    let process = process::start(Way::Ours, place, &sim).await?;
    let idle = process.resident()?;
    let turn = turn::take(&process, &sim, flood()).await?;
    process.stop()?;
    sim.stop().await;
    Ok([idle, turn.resident])
}
