//! A process that is measured from outside.

use std::{
    collections::BTreeMap,
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sim::Sim;
use tokio::time;

use crate::{Place, reference, sink::PREFIX};

/// How long it may take until all shards are ready.
const START: Duration = Duration::from_secs(60);

/// How long a process gets to calm down after its start.
const CALM: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `gateway-ws`, one message for each event.
    Ours,
    /// `gateway-ws`, with presences in batches.
    Batched,
    /// The least that anybody could do.
    Reference,
}

impl Way {
    /// For a table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Ours => "gateway-ws, typed, confirms",
            Self::Batched => "gateway-ws, presences in batches of 64",
            Self::Reference => "raw JSON through lapin, confirms",
        }
    }
}

/// A running process; it is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it and waits until it has connected all shards.
    pub(crate) async fn start(way: Way, place: &Place, sim: &Sim) -> Result<Self> {
        let mut command = match way {
            Way::Ours => service(place, sim),
            Way::Batched => {
                let mut command = service(place, sim);
                command.env("EVENT_BATCH", "PRESENCE_UPDATE=64/5ms");
                command
            }
            Way::Reference => {
                let mut command = Command::new(env::current_exe()?);
                command.args([reference::WORD, &place.amqp, &sim.gateway_url()]);
                command
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = Self(child.context("a process to measure")?);
        sim.wait_for("all shards", START, |state| state.is_ready())
            .await?;
        time::sleep(CALM).await;
        Ok(process)
    }

    /// The CPU time that each of its threads has used so far, user and system.
    pub(crate) fn threads(&self) -> Result<BTreeMap<String, Duration>> {
        bench::process::threads(self.0.id())
    }

    /// Memory that it has resident, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        bench::process::resident(self.0.id())
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<()> {
        ensure!(
            self.0.try_wait()?.is_none(),
            "the process has ended by itself"
        );
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("a process cannot be ended: {error}");
        }
    }
}

fn service(place: &Place, sim: &Sim) -> Command {
    let mut command = Command::new(&place.gateway_ws);
    command.env_clear().envs([
        ("DISCORD_TOKEN", "sim.token"),
        ("DISCORD_INTENTS", "53608447"),
        ("DISCORD_API_URL", &sim.api_url()),
        ("AMQP_URL", &place.amqp),
        ("AMQP_PREFIX", PREFIX),
        ("ADMIN_ADDRESS", "127.0.0.1:0"),
        ("LOG", "warn"),
    ]);
    command
}
