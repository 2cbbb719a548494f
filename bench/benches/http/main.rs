//! `gateway-http` beside a bare look at the same signatures: CPU time of an interaction that a worker answers, and of a request that
//! is refused, and how late a worker in Python is heard.
//!
//! `make bench` gives it a private RabbitMQ; by hand:
//! `cargo bench -p bench --bench http -- URL target/release/gateway-http PYTHON [PART…]`, where the parts are `flood`, `steady` and
//! `latency`, and PYTHON is one with the packages of the example worker, and with CONTRACT_FOLDER in its environment. The ratios are of
//! one run, in which all take turns. Discord and the worker in Rust run in the process that measures, on the same cores.

mod interactions;
mod latency;
mod load;
mod service;
mod signature;
mod worker;

use std::{env, path::PathBuf};

use anyhow::Result;
use bench::summary::Summary;
use tokio::runtime::Builder;

use self::{
    interactions::{Interactions, Signed},
    load::{Pace, Sum},
    service::Service,
    worker::Worker,
};

/// How often the ways that are compared take turns.
const ROUNDS: usize = 3;

/// Where everything is.
struct Place {
    /// The broker.
    amqp: String,
    /// The program.
    gateway_http: PathBuf,
    /// What runs the worker in Python.
    python: PathBuf,
}

fn main() -> Result<()> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|each| !each.starts_with("--"))
        .collect();
    let [amqp, gateway_http, python, parts @ ..] = arguments.as_slice() else {
        println!("http: no AMQP URL, program and Python given, nothing measured (make bench does)");
        return Ok(());
    };
    let folder = env::current_dir()?;
    let place = Place {
        amqp: amqp.clone(),
        gateway_http: folder.join(gateway_http),
        python: folder.join(python),
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(measure(&place, parts))?;
    println!("\n{summary}");
    Ok(())
}

/// Measures these parts, or all.
async fn measure(place: &Place, parts: &[String]) -> Result<Summary> {
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|each| each == part);
    let mut summary = Summary::new("gateway-http");
    if is_wanted("flood") {
        let [bare, answered, refused] = compare(place, "at full speed", Pace::FLOOD).await?;
        summary.add("CPU µs/signature, bare", bare.cpu());
        summary.add("CPU µs/interaction answered by a worker", answered.cpu());
        let ratio = answered.cpu() / bare.cpu();
        summary.at_most("  to the bare signature", ratio, 2.0);
        summary.add("CPU µs/refused signature", refused.cpu());
        let ratio = refused.cpu() / bare.cpu();
        summary.at_most("  to the bare signature", ratio, 1.3);
    }
    if is_wanted("steady") {
        let [bare, answered, _] = compare(place, "at 500 a second", Pace::STEADY).await?;
        summary.add("CPU µs/interaction at 500 a second", answered.cpu());
        let ratio = answered.cpu() / bare.cpu();
        summary.add("  to the bare signature", ratio);
    }
    if is_wanted("latency") {
        let [median, late] = latency::measure(place).await?;
        summary.at_most("ms at 500 a second, less the worker's, p50", median, 2.0);
        summary.at_most("ms at 500 a second, less the worker's, p99", late, 8.0);
    }
    Ok(summary)
}

/// Lets the bare look, answered interactions and refused ones take turns.
async fn compare(place: &Place, what: &str, pace: Pace) -> Result<[Sum; 3]> {
    println!(
        "\n{what:<32} {:>12} {:>12}  interactions of {} bytes",
        "a second",
        "CPU µs each",
        Interactions::new().sign(1, Signed::Right)[0].body().len()
    );
    let mut sums = [Sum::default(); 3];
    for _ in 0..ROUNDS {
        let bare = signature::turn(pace.count)?;
        let worker = Worker::start(&place.amqp).await?;
        let service = Service::start(place).await?;
        let answered = load::turn(&service, pace, Signed::Right).await?;
        let refused = load::turn(&service, pace, Signed::Wrong).await?;
        service.stop()?;
        worker.stop().await?;
        let turns = [
            ("bare signatures", bare),
            ("answered by a worker", answered),
            ("refused", refused),
        ];
        for (sum, (what, turn)) in sums.iter_mut().zip(turns) {
            sum.add(&turn);
            println!("{what:<32} {:>12.0} {:>12.1}", turn.rate(), turn.cpu());
        }
    }
    Ok(sums)
}
