//! The processes that are compared.

use std::{env, process::Command, time::Duration};

use anyhow::Result;
use bench::process::Process;
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

/// Starts it and waits until it has connected all shards.
pub(crate) async fn start(way: Way, place: &Place, sim: &Sim) -> Result<Process> {
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
    let process = Process::start(&mut command)?;
    sim.wait_for("all shards", START, |state| state.is_ready())
        .await?;
    time::sleep(CALM).await;
    Ok(process)
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
