//! A burst that Discord's limits stretch: it has to take as long as they demand, and meet no 429.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use bench::store::Store;
use sim::{Config, Limit, RestConfig, Sim, Window};
use tokio::{task::JoinSet, time::Instant};

use crate::replica::{Replica, call, message};

/// Messages, and to how many channels: 5 a second go to each, and 50 a second altogether, so 40 s are the least.
const MESSAGES: usize = 2_000;
const CHANNELS: usize = 20;

/// What came of a burst.
pub(crate) struct Outcome {
    /// Answers with 429 that the simulated Discord gave.
    pub(crate) limited: u64,
    /// Messages that were not answered 200, or not in their channel's order.
    pub(crate) wrong: usize,
    pub(crate) seconds: f64,
}

/// All ways in which Discord may count, for one replica and for three that share a store.
pub(crate) async fn play(program: &Path, store: &Store) -> Result<Vec<Outcome>> {
    println!(
        "\n{:<44} {:>10} {:>10} {:>10}",
        "2,000 messages to 20 channels, ideal 40 s", "seconds", "429s", "wrong"
    );
    let mut outcomes = Vec::new();
    for window in [Window::Fixed, Window::Sliding, Window::TokenBucket] {
        for replicas in [1, 3] {
            let outcome = burst(program, store, window, replicas).await?;
            println!(
                "{:<44} {:>10.1} {:>10} {:>10}",
                format!("{window:?}, replicas: {replicas}"),
                outcome.seconds,
                outcome.limited,
                outcome.wrong
            );
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

async fn burst(program: &Path, store: &Store, window: Window, replicas: usize) -> Result<Outcome> {
    let sim = Sim::start(config(window)).await?;
    let prefix = format!("{window:?}-{replicas}").to_lowercase();
    let url = format!("redis://{}", store.address());
    let variables = [
        ("API_TIMEOUT", "120s"),
        ("REDIS_PREFIX", prefix.as_str()),
        ("REDIS_URL", &url),
    ];
    let mut all = Vec::new();
    for _ in 0..replicas {
        all.push(Replica::start(program, &sim, &variables).await?);
    }
    let guilds = sim.guild_ids();
    let channels = guilds.iter().flat_map(|id| sim.channel_ids(*id));
    let channels: Vec<u64> = channels.take(CHANNELS).collect();
    let mut lines = vec![String::new(); replicas];
    for number in 0..MESSAGES {
        let id = number.to_string();
        let body = message(channels[number % CHANNELS], &id);
        lines[number % replicas].push_str(&call(&id, &body));
    }
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for (replica, lines) in all.into_iter().zip(lines) {
        asking.spawn(ask(replica, lines));
    }
    let mut answered = 0;
    while let Some(count) = asking.join_next().await {
        answered += count??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let disordered = if replicas == 1 { disordered(&sim) } else { 0 };
    Ok(Outcome {
        limited: sim.state().rest.limited.values().sum(),
        wrong: MESSAGES - answered + disordered,
        seconds,
    })
}

fn config(window: Window) -> Config {
    Config {
        guilds: 10,
        rest: RestConfig {
            global_limit: 50,
            global_window_ms: 1_000,
            global_window: window,
            limits: vec![Limit {
                path: "channels/*/messages".to_owned(),
                limit: 5,
                window_ms: 1_000,
                window,
                ..Limit::default()
            }],
            ..RestConfig::default()
        },
        ..Config::default()
    }
}

/// Asks for all of it; how many were answered 200.
async fn ask(mut replica: Replica, lines: String) -> Result<usize> {
    replica.ask(&lines).await?;
    let mut right = 0;
    for _ in lines.lines() {
        let answer = replica.answer().await?;
        right += usize::from(answer["body"]["status"] == 200);
    }
    Ok(right)
}

/// Messages that came to a channel after a later one.
fn disordered(sim: &Sim) -> usize {
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = 0;
    for request in sim.requests() {
        let number = request.nonce.and_then(|nonce| nonce.parse().ok());
        let Some(number) = number else { continue };
        let former = last.insert(request.path, number);
        wrong += usize::from(former.is_some_and(|former| former > number));
    }
    wrong
}
