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
use sim::{Config, EmitRequest, Sim};

use self::{
    process::{Process, Way},
    sink::Sink,
    turn::Turn,
};

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
    let wanted = arguments.get(given.unwrap_or(0) + 2..).unwrap_or_default();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|each| each == part);
    let sink = Sink::open(&place.amqp).await?;
    for (part, what, emission) in [
        ("flood", "at full speed", flood()),
        ("steady", "at 2,000 a second", steady()),
    ] {
        if is_wanted(part) {
            let ways = [Way::Ours, Way::Reference];
            let [ours, reference] = compare(&place, what, &emission, ways).await?;
            println!(
                "CPU, ours to the reference: {:.2} (at most 0.5)",
                ours / reference
            );
        }
    }
    if is_wanted("batches") {
        let presences = EmitRequest {
            mix: Some("PRESENCE_UPDATE".parse()?),
            ..flood()
        };
        let ways = [Way::Ours, Way::Batched, Way::Reference];
        let what = "nothing but presences at full speed";
        let [_, batched, reference] = compare(&place, what, &presences, ways).await?;
        println!("CPU, batched to the reference: {:.2}", batched / reference);
    }
    if is_wanted("memory") {
        memory(&place).await?;
    }
    if is_wanted("latency") {
        latency::measure(&place).await?;
    }
    sink.close().await
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

/// Processes in turns; returns the CPU time of an event of each.
async fn compare<const N: usize>(
    place: &Place,
    what: &str,
    emission: &EmitRequest,
    ways: [Way; N],
) -> Result<[f64; N]> {
    println!("\nevents {what}: one shard over zstd, one queue bound, {ROUNDS} rounds");
    println!(
        "{:<44} {:>10} {:>12} {:>10}",
        "way", "events/s", "CPU µs/event", "RSS MiB"
    );
    let mut sums = ways.map(|_| Turn::default());
    for _ in 0..ROUNDS {
        for (sum, way) in sums.iter_mut().zip(ways) {
            let sim = discord(1).await?;
            let process = Process::start(way, place, &sim).await?;
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
    Ok(sums.map(|sum| sum.cpu()))
}

/// What many shards take, before and after a flood.
async fn memory(place: &Place) -> Result<()> {
    let sim = discord(SHARDS).await?;
    let process = Process::start(Way::Ours, place, &sim).await?;
    let idle = process.resident()?;
    let turn = turn::take(&process, &sim, flood()).await?;
    println!(
        "\n{SHARDS} shards: RSS {idle:.1} MiB after the start, at most {:.1} MiB at full speed; {:.0} events/s, \
         {:.1} µs CPU an event",
        turn.resident,
        turn.rate(),
        turn.cpu()
    );
    process.stop()?;
    sim.stop().await;
    Ok(())
}
