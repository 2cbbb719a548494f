//! Ten thousand requests that wait for one bucket, and what that costs the others.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use sim::{Config, Limit, RestConfig, Sim};
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::replica::{Replica, call, message};

/// How many wait.
const CROWD: usize = 10_000;
/// How many others ask, one after the other, and how often.
const OTHERS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(5);

/// What the crowd costs.
pub(crate) struct Cost {
    /// Milliseconds in which 99 of 100 others are answered, without the crowd and with it.
    pub(crate) late: [f64; 2],
    /// Megabytes for each thousand that wait.
    pub(crate) memory: f64,
}

pub(crate) async fn measure(program: &Path) -> Result<Cost> {
    let sim = Sim::start(config()).await?;
    let variables = [("API_GLOBAL_LIMIT", "100000"), ("API_TIMEOUT", "1h")];
    let mut replica = Replica::start(program, &sim, &variables).await?;
    let channels = sim.channel_ids(sim.guild_ids()[0]);
    println!(
        "\n{:<44} {:>10} {:>10}",
        "others, at 200 a second", "p50 ms", "p99 ms"
    );
    let alone = others(&mut replica, channels[1], "with nobody else").await?;
    let before = replica.resident()?;
    let mut lines = String::new();
    for number in 0..CROWD {
        let id = format!("crowd {number}");
        lines.push_str(&call(&id, &message(channels[0], &id)));
    }
    replica.ask(&lines).await?;
    let crowded = others(&mut replica, channels[1], "with 10,000 that wait").await?;
    let sent = sim.state().rest.executed as usize;
    ensure!(sent < CROWD, "the crowd is gone: {sent}");
    Ok(Cost {
        late: [alone, crowded],
        memory: (replica.resident()? - before) * 1e3 / CROWD as f64,
    })
}

/// Five messages a second for each channel, and no other limit.
fn config() -> Config {
    Config {
        rest: RestConfig {
            global_limit: 0,
            default_limit: 0,
            limits: vec![Limit {
                methods: vec!["POST".to_owned()],
                path: "channels/*/messages".to_owned(),
                limit: 5,
                window_ms: 1_000,
                ..Limit::default()
            }],
            ..RestConfig::default()
        },
        ..Config::default()
    }
}

/// Milliseconds in which 99 of 100 are answered.
async fn others(replica: &mut Replica, channel: u64, what: &str) -> Result<f64> {
    let get = json!({"method": "GET", "path": format!("/channels/{channel}")});
    let mut ticks = time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::with_capacity(OTHERS);
    for number in 0..OTHERS {
        ticks.tick().await;
        let id = format!("{what} {number}");
        let since = Instant::now();
        replica.ask(&call(&id, &get)).await?;
        while replica.answer().await?["correlation_id"] != *id {}
        took.push(since.elapsed().as_secs_f64() * 1e3);
    }
    // The first ones wait until the crowd has been read.
    let mut took = took.split_off(OTHERS / 10);
    took.sort_by(f64::total_cmp);
    let [median, late] = [0.5, 0.99].map(|share| took[(took.len() as f64 * share) as usize]);
    println!("{what:<44} {median:>10.2} {late:>10.2}");
    Ok(late)
}
