//! How much later answers come at a rate that leaves the machine idle.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use bench::caller::Caller;
use tokio::{
    task::JoinSet,
    time::{self, Instant, MissedTickBehavior},
};

use crate::{
    flood::request,
    process::{Process, Way},
    upstream::Upstream,
};

/// Connections, and how often each asks: 400 a second together.
const CALLERS: u32 = 20;
const EVERY: Duration = Duration::from_millis(50);
/// How often each asks in a turn.
const QUESTIONS: usize = 200;
/// The first of the channels.
const CHANNEL: u64 = 849_074_769_100_800_001;

/// Milliseconds that the gateway adds to an answer: to half of them, and to 99 of 100.
pub(crate) async fn measure(program: &Path, upstream: &Upstream) -> Result<[f64; 2]> {
    println!(
        "\n{:<32} {:>12} {:>12}",
        "at 400 a second", "p50 ms", "p99 ms"
    );
    let direct = turn(upstream.address()).await?;
    show("nothing between", direct);
    let mut of = [direct; 2];
    for (of, way) in of.iter_mut().zip([Way::Ours, Way::Reference]) {
        let process = Process::start(way, program, upstream).await?;
        *of = turn(process.address()).await?;
        process.stop()?;
        show(way.describe(), *of);
    }
    let [ours, _] = of;
    Ok([0, 1].map(|place| ours[place] - direct[place]))
}

fn show(what: &str, [median, late]: [f64; 2]) {
    println!("{what:<32} {median:>12.3} {late:>12.3}");
}

/// Milliseconds of half the answers, and of 99 of 100.
async fn turn(address: SocketAddr) -> Result<[f64; 2]> {
    let mut callers = JoinSet::new();
    for each in 0..CALLERS {
        callers.spawn(async move {
            let mut caller = Caller::connect(address).await?;
            let request = request(CHANNEL + u64::from(each));
            // Evenly spread.
            let start = Instant::now() + EVERY * each / CALLERS;
            let mut ticks = time::interval_at(start, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut took = Vec::with_capacity(QUESTIONS);
            for _ in 0..QUESTIONS {
                ticks.tick().await;
                let since = Instant::now();
                caller.ask(&request, 200).await?;
                took.push(since.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = callers.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok([50, 99].map(|share| {
        let took = all.get(all.len() * share / 100);
        took.map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }))
}
