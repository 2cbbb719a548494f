//! The HTTP listener of `gateway-api` beside a proxy that does nothing: requests a second, CPU time of a request, how late
//! answers come, and memory. Discord's limits are never reached.
//!
//! `make bench` runs it; by hand: `cargo bench -p bench --bench api -- target/release/gateway-api [PART…]`, where the parts are
//! `flood`, `latency`, `buckets`, `crowd` and `burst`; the last two are against the simulated Discord, with its limits. The ratio is of one
//! run, in which both take turns. Callers and the simulated Discord run in the process that measures, on the same cores, and so
//! does the Redis of a replica that shares its limits. On 2 cores, twilight's http-proxy was measured with 24,000 to 29,000
//! requests a second, 21 µs of CPU time for each, and 0.11 and 0.21 ms (p50 and p99) at 400 a second.

mod burst;
mod crowd;
mod flood;
mod latency;
mod process;
mod reference;
mod replica;
mod upstream;

use std::{env, path::Path};

use anyhow::Result;
use bench::{store::Store, summary::Summary};
use tokio::runtime::Builder;

use self::{
    process::{Process, Way},
    upstream::Upstream,
};

/// How many buckets the run has that looks at memory.
const BUCKETS: u64 = 10_000;

fn main() -> Result<()> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|each| !each.starts_with("--"))
        .collect();
    if let [word, address, upstream] = arguments.as_slice()
        && word == reference::WORD
    {
        // One thread does the work, as in our services.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        return runtime.block_on(reference::run(address, upstream));
    }
    let Some((program, parts)) = arguments
        .split_first()
        .filter(|(first, _)| first.contains("gateway-api"))
    else {
        println!("api: no program given, nothing measured (make bench does)");
        return Ok(());
    };
    let program = env::current_dir()?.join(program);
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(measure(&program, parts))?;
    println!("\n{summary}");
    Ok(())
}

/// Measures these parts, or all.
async fn measure(program: &Path, parts: &[String]) -> Result<Summary> {
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|each| each == part);
    let mut summary = Summary::new("gateway-api over HTTP");
    let upstream = Upstream::start().await?;
    if is_wanted("flood") {
        let store = Store::start().await?;
        let ways = [Way::Ours, Way::Shared(store.address()), Way::Reference];
        let [ours, shared, reference] = flood::compare(program, &upstream, ways).await?;
        summary.at_least("requests/s at full speed", ours.rate(), 24_000.0);
        summary.at_most("CPU µs/request", ours.cpu(), 21.0);
        summary.add("  the same, of a proxy that does nothing", reference.cpu());
        summary.add("  ratio", ours.cpu() / reference.cpu());
        let ratio = shared.cpu() / ours.cpu();
        summary.at_most("  with a store, to without", ratio, 2.0);
    }
    if is_wanted("latency") {
        let [median, late] = latency::measure(program, &upstream).await?;
        summary.at_most("ms added at 400 a second, p50", median, 0.2);
        summary.at_most("ms added at 400 a second, p99", late, 1.0);
    }
    if is_wanted("buckets") {
        let process = Process::start(Way::Ours, program, &upstream).await?;
        flood::touch(process.address(), BUCKETS).await?;
        summary.at_most("RSS in MB with 10,000 buckets", process.resident()?, 30.0);
        process.stop()?;
    }
    if is_wanted("crowd") {
        let cost = crowd::measure(program).await?;
        let [alone, crowded] = cost.late;
        let ratio = crowded / alone;
        summary.at_most(
            "p99 of others, with 10,000 that wait to without",
            ratio,
            2.0,
        );
        summary.at_most("  MB for each 1,000 that wait", cost.memory, 10.0);
    }
    if is_wanted("burst") {
        let outcomes = burst::play(program, &Store::start().await?).await?;
        let limited: u64 = outcomes.iter().map(|it| it.limited).sum();
        let wrong: usize = outcomes.iter().map(|it| it.wrong).sum();
        let longest = outcomes.iter().map(|it| it.seconds).fold(0.0, f64::max);
        summary.at_most("429s in all bursts", limited as f64, 0.0);
        summary.at_most("  messages not sent, or out of order", wrong as f64, 0.0);
        summary.at_most("  seconds of the longest, ideal 40", longest, 42.0);
    }
    Ok(summary)
}
