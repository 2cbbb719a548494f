//! As many requests as are answered.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use bench::caller::Caller;
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    process::{Process, Way},
    upstream::Upstream,
};

/// Connections of callers, each of which waits for its answer. Each asks for a channel of its own.
const CALLERS: u64 = 64;
/// How long a turn lasts, and before that how long it is not measured.
const TURN: Duration = Duration::from_secs(5);
const WARM: Duration = Duration::from_secs(1);
/// How often the ways that are compared take turns.
const ROUNDS: usize = 3;
/// The first of the channels.
const CHANNEL: u64 = 849_074_769_100_800_001;

/// What was measured in some turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    requests: u64,
    wall: Duration,
    used: Duration,
}

impl Sum {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU time for a request.
    pub(crate) fn cpu(&self) -> f64 {
        self.used.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// Lets both take turns.
pub(crate) async fn compare(program: &Path, upstream: &Upstream) -> Result<[Sum; 2]> {
    let mut sums = [Sum::default(); 2];
    let direct = turn(upstream.address(), None).await?;
    println!(
        "\n{:<32} {:>12} {:>12}",
        "at full speed", "requests/s", "CPU µs each"
    );
    println!("{:<32} {:>12.0}", "nothing between", direct.rate());
    for _ in 0..ROUNDS {
        for (sum, way) in sums.iter_mut().zip([Way::Ours, Way::Reference]) {
            let process = Process::start(way, program, upstream).await?;
            let turn = turn(process.address(), Some(&process)).await?;
            process.stop()?;
            sum.requests += turn.requests;
            sum.wall += turn.wall;
            sum.used += turn.used;
            println!(
                "{:<32} {:>12.0} {:>12.1}",
                way.describe(),
                turn.rate(),
                turn.cpu()
            );
        }
    }
    Ok(sums)
}

/// Asks once for each of so many channels.
pub(crate) async fn touch(address: SocketAddr, channels: u64) -> Result<()> {
    let mut caller = Caller::connect(address).await?;
    for channel in 0..channels {
        caller.ask(&request(CHANNEL + channel), 200).await?;
    }
    Ok(())
}

async fn turn(address: SocketAddr, process: Option<&Process>) -> Result<Sum> {
    ask(address, WARM).await?;
    let used = || process.map_or(Ok(Duration::ZERO), Process::used);
    let (before, start) = (used()?, Instant::now());
    let requests = ask(address, TURN).await?;
    let wall = start.elapsed();
    let used = used()?.saturating_sub(before);
    Ok(Sum {
        requests,
        wall,
        used,
    })
}

/// All callers ask for so long; how many answers they got.
async fn ask(address: SocketAddr, length: Duration) -> Result<u64> {
    let end = Instant::now() + length;
    let mut callers = JoinSet::new();
    for each in 0..CALLERS {
        callers.spawn(async move {
            let mut caller = Caller::connect(address).await?;
            let request = request(CHANNEL + each);
            let mut answers = 0;
            while Instant::now() < end {
                caller.ask(&request, 200).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut all = 0;
    while let Some(answers) = callers.join_next().await {
        all += answers??;
    }
    // What was asked last is settled before the next turn begins.
    time::sleep(Duration::from_millis(100)).await;
    Ok(all)
}

/// A request for a message of this channel.
pub(crate) fn request(channel: u64) -> Vec<u8> {
    format!(
        "GET /api/v10/channels/{channel}/messages/1 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bot any\r\n\
         user-agent: DiscordBot (https://example.com, 1.0)\r\n\r\n"
    )
    .into_bytes()
}
