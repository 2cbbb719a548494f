//! A burst that Discord's limits stretch: it has to take as long as they demand, and meet no 429.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::{Config, Limit, RestConfig, Sim, Window};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
    time::{self, Instant},
};

use crate::store::Store;

/// Messages, and to how many channels: 5 a second go to each, and 50 a second altogether, so 40 s are the least.
const MESSAGES: usize = 2_000;
const CHANNELS: usize = 20;
/// How long one answer may be waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// What came of a burst.
pub(crate) struct Outcome {
    /// Answers with 429 that the simulated Discord gave.
    pub(crate) limited: u64,
    /// Messages that were not answered 200, or not in their channel's order.
    pub(crate) wrong: usize,
    pub(crate) seconds: f64,
}

/// A replica that takes requests by its stdin.
struct Replica {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
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
    let mut all = Vec::new();
    for _ in 0..replicas {
        all.push(Replica::start(program, &sim, store, &prefix).await?);
    }
    let guilds = sim.guild_ids();
    let channels = guilds.iter().flat_map(|id| sim.channel_ids(*id));
    let channels: Vec<u64> = channels.take(CHANNELS).collect();
    let mut lines = vec![String::new(); replicas];
    for number in 0..MESSAGES {
        let line = message(channels[number % CHANNELS], number);
        lines[number % replicas].push_str(&format!("{line}\n"));
    }
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for (replica, lines) in all.into_iter().zip(lines) {
        asking.spawn(replica.ask(lines));
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

fn message(channel: u64, number: usize) -> Value {
    let body = json!({"content": "x", "nonce": number.to_string()});
    json!({
        "type": "gateway.v1.Api/Call",
        "reply_to": "me",
        "correlation_id": number.to_string(),
        "body": {
            "method": "POST",
            "path": format!("/channels/{channel}/messages"),
            "json": body.to_string(),
        },
    })
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

impl Replica {
    /// Starts one, and waits until it answers.
    async fn start(program: &Path, sim: &Sim, store: &Store, prefix: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.env_clear().envs([
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("API_TIMEOUT", "120s"),
            ("BROKER_TYPE", "stdio"),
            ("DISCORD_API_URL", &sim.api_url()),
            ("DISCORD_TOKEN", "sim.token"),
            ("LOG", "warn"),
            ("REDIS_PREFIX", prefix),
            ("REDIS_URL", &format!("redis://{}", store.address())),
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("stdin is a pipe")?;
        let output = child.stdout.take().context("stdout is a pipe")?;
        let mut replica = Self {
            _child: child,
            input,
            output: BufReader::new(output).lines(),
        };
        let ready = json!({
            "type": "gateway.v1.Api/Call",
            "reply_to": "me",
            "correlation_id": "ready",
            "body": {"method": "GET", "path": "/gateway"},
        });
        replica
            .input
            .write_all(format!("{ready}\n").as_bytes())
            .await?;
        replica.answer().await?;
        Ok(replica)
    }

    /// Asks for all of it; how many were answered 200.
    async fn ask(mut self, lines: String) -> Result<usize> {
        self.input.write_all(lines.as_bytes()).await?;
        let mut right = 0;
        for _ in lines.lines() {
            let answer = self.answer().await?;
            right += usize::from(answer["body"]["status"] == 200);
        }
        Ok(right)
    }

    async fn answer(&mut self) -> Result<Value> {
        loop {
            let line = time::timeout(PATIENCE, self.output.next_line()).await;
            let line = line
                .context("no answer")??
                .context("the service has ended")?;
            let message: Value = serde_json::from_str(&line)?;
            ensure!(message.is_object(), "{line}");
            if message.get("correlation_id").is_some_and(Value::is_string) {
                return Ok(message);
            }
        }
    }
}
