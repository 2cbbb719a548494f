//! `gateway-voice` beside a simulated voice server that listens: CPU time of a call whose sound is passed on, frames that are late,
//! memory of a call that is silent, and how long it takes from the wish to the first sound.
//!
//! `make bench` gives it a private RabbitMQ; by hand:
//! `cargo bench -p bench --bench voice -- URL target/release/gateway-ws target/release/gateway-voice [PART…]`, where the parts are
//! `calls`, `idle` and `latency`. `make soak` plays those that take long: `tones` (SECONDS of a tone, in each way in which sound
//! travels), `killed` and `stopped` (a node with many calls, whose calls another one takes over); then the limits are held: what exceeds
//! one is a failure. Discord and the worker run in the process that measures, on the same cores.

mod calls;
mod latency;
mod nodes;
mod sound;
mod stage;
mod tones;
mod worker;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use bench::summary::Summary;
use tokio::runtime::Builder;

/// The parts of the benchmark.
const BENCH: [&str; 3] = ["calls", "idle", "latency"];
/// Those of the soak, and the word for all of them.
const SOAK: [&str; 3] = ["tones", "killed", "stopped"];
const SOAKING: &str = "soak";

/// How long a tone of the soak is, unless it is said.
const TONE: Duration = Duration::from_secs(60);

/// Where everything is.
pub(crate) struct Place {
    /// The broker.
    amqp: String,
    gateway_ws: PathBuf,
    gateway_voice: PathBuf,
}

fn main() -> Result<ExitCode> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|each| !each.starts_with("--"))
        .collect();
    let [amqp, gateway_ws, gateway_voice, parts @ ..] = arguments.as_slice() else {
        println!("voice: no AMQP URL and programs given, nothing measured (make bench does)");
        return Ok(ExitCode::SUCCESS);
    };
    let folder = env::current_dir()?;
    let place = Place {
        amqp: amqp.clone(),
        gateway_ws: folder.join(gateway_ws),
        gateway_voice: folder.join(gateway_voice),
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let (summary, is_soak) = runtime.block_on(measure(&place, parts))?;
    println!("\n{summary}");
    Ok(match is_soak && !summary.is_kept() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Measures these parts, or all of the benchmark; and whether it was a soak.
async fn measure(place: &Place, parts: &[String]) -> Result<(Summary, bool)> {
    let numbers = parts.iter().filter_map(|part| part.parse().ok());
    let length = numbers.map(Duration::from_secs).next().unwrap_or(TONE);
    let is_named = |part: &str| parts.iter().any(|each| each == part);
    let is_wanted = |part: &&str| match SOAK.contains(part) {
        true => is_named(part) || is_named(SOAKING),
        false => is_named(part) || parts.is_empty(),
    };
    let wanted: Vec<&str> = BENCH.into_iter().chain(SOAK).filter(is_wanted).collect();
    let mut summary = Summary::new("gateway-voice");
    for part in &wanted {
        let measured = match *part {
            "calls" => calls::busy(place, &mut summary).await,
            "idle" => calls::idle(place, &mut summary).await,
            "latency" => latency::measure(place, &mut summary).await,
            "tones" => tones::measure(place, length, &mut summary).await,
            "killed" => nodes::killed(place, &mut summary).await,
            _ => nodes::stopped(place, &mut summary).await,
        };
        if let Err(error) = measured {
            println!("the part {part} FAILED: {error:#}");
            summary.at_most("parts that failed", 1.0, 0.0);
        }
    }
    Ok((summary, wanted.iter().any(|part| SOAK.contains(part))))
}
