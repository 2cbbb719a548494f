//! How late a worker in Python is heard.
//!
//! What it says tells how long it has taken itself, from the event's arrival to its reply, and that is taken out. So all else counts:
//! gateway-http, RabbitMQ twice, Python's AMQP client, and the wait in the worker's queue for those before.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    Place,
    interactions::{Interactions, Signed},
    load::{self, Answered, Pace},
    service::Service,
    worker::PREFIX,
};

/// What stands before the microseconds that the worker has taken.
const TOOK: &str = "said by the worker in ";

/// A process of Python's; it is killed when this is dropped.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("the worker cannot be ended: {error}");
        }
    }
}

/// Milliseconds from an interaction to its answer, without the worker's own: of half of them, and of 99 of 100.
pub(crate) async fn measure(place: &Place) -> Result<[f64; 2]> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let worker = Command::new(&place.python)
        .arg(here.join("benches/http/worker.py"))
        // Where `contract.py` is.
        .env("PYTHONPATH", here.join("../examples/python-worker"))
        .env("AMQP_URL", &place.amqp)
        .env("AMQP_PREFIX", PREFIX)
        .stdin(Stdio::null())
        .spawn();
    let worker = Python(worker.context("the worker in Python")?);
    let service = Service::start(place).await?;
    let all = Interactions::new().sign(Pace::STEADY.count, Signed::Right);
    let answers = load::send(&service, all, Pace::STEADY, Signed::Right).await?;
    service.stop()?;
    drop(worker);
    let mut own: Vec<Duration> = answers.iter().map(own).collect::<Result<_>>()?;
    let mut late: Vec<Duration> = answers
        .iter()
        .zip(&own)
        .map(|((all, _), own)| all.saturating_sub(*own))
        .collect();
    println!(
        "\n{:<32} {:>12} {:>12}",
        "at 500 a second", "p50 ms", "p99 ms"
    );
    for (what, times) in [
        ("the worker's own time", &mut own),
        ("all other", &mut late),
    ] {
        times.sort_unstable();
        println!("{what:<32} {:>12.3} {:>12.3}", at(times, 50), at(times, 99));
    }
    Ok([50, 99].map(|share| at(&late, share)))
}

/// Milliseconds of so many of a hundred.
fn at(sorted: &[Duration], share: usize) -> f64 {
    let time = sorted.get(sorted.len() * share / 100);
    time.map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// How long the worker has taken.
fn own((_, answer): &Answered) -> Result<Duration> {
    let answer = std::str::from_utf8(answer)?;
    let (_, rest) = answer.split_once(TOOK).with_context(|| answer.to_owned())?;
    let (digits, _) = rest.split_once(' ').context("a space")?;
    Ok(Duration::from_micros(digits.parse()?))
}
