//! A `gateway-api` that takes requests by its stdin, against the simulated Discord.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bench::process::resident;
use serde_json::{Value, json};
use sim::Sim;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time,
};

/// How long one answer may be waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running one; it is killed when this is dropped.
pub(crate) struct Replica {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Replica {
    /// Starts one with these variables, and waits until it answers.
    pub(crate) async fn start(
        program: &Path,
        sim: &Sim,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.env_clear().envs([
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("BROKER_TYPE", "stdio"),
            ("DISCORD_API_URL", &sim.api_url()),
            ("DISCORD_TOKEN", "sim.token"),
            ("LOG", "warn"),
        ]);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("stdin is a pipe")?;
        let output = child.stdout.take().context("stdout is a pipe")?;
        let mut replica = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        let get = json!({"method": "GET", "path": "/gateway"});
        replica.ask(&call("ready", &get)).await?;
        replica.answer().await?;
        Ok(replica)
    }

    /// Asks for what stands in these lines.
    pub(crate) async fn ask(&mut self, lines: &str) -> Result<()> {
        Ok(self.input.write_all(lines.as_bytes()).await?)
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Result<Value> {
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

    /// Memory that it has resident, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        resident(self.child.id().context("it runs")?)
    }
}

/// The line that asks for this call.
pub(crate) fn call(id: &str, body: &Value) -> String {
    let message = json!({
        "type": "gateway.v1.Api/Call",
        "reply_to": "me",
        "correlation_id": id,
        "body": body,
    });
    format!("{message}\n")
}

/// The call that puts a message into a channel.
pub(crate) fn message(channel: u64, nonce: &str) -> Value {
    let body = json!({"content": "x", "nonce": nonce});
    json!({
        "method": "POST",
        "path": format!("/channels/{channel}/messages"),
        "json": body.to_string(),
    })
}
