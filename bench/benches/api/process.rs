//! What stands between callers and Discord, as a process that is measured from outside.

use std::{env, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};
use bench::{
    caller::Caller,
    process::{self, free_address},
};
use tokio::time::{self, Instant};

use crate::{flood::request, reference, upstream::Upstream};

/// How long it may take to answer the first request.
const START: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// `gateway-api`.
    Ours,
    /// The least that anybody could do.
    Reference,
}

impl Way {
    /// For a table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Ours => "gateway-api",
            Self::Reference => "a proxy that does nothing",
        }
    }
}

/// A running one.
pub(crate) struct Process {
    process: process::Process,
    address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(way: Way, program: &Path, upstream: &Upstream) -> Result<Self> {
        let address = free_address()?;
        let (here, there) = (address.to_string(), upstream.address().to_string());
        let mut command = match way {
            Way::Ours => service(program, &here, &there),
            Way::Reference => {
                let mut command = Command::new(env::current_exe()?);
                command.args([reference::WORD, &here, &there]);
                command
            }
        };
        let process = process::Process::start(&mut command)?;
        let process = Self { process, address };
        let deadline = Instant::now() + START;
        while process.ask().await.is_err() {
            ensure!(
                Instant::now() < deadline,
                "{} does not answer",
                way.describe()
            );
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(process)
    }

    async fn ask(&self) -> Result<()> {
        let mut caller = Caller::connect(self.address).await?;
        caller.ask(&request(1), 200).await?;
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that it has used so far.
    pub(crate) fn used(&self) -> Result<Duration> {
        self.process.used()
    }

    /// Memory that it has resident, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.process.resident()
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop()
    }
}

fn service(program: &Path, here: &str, there: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([
        ("ADMIN_ADDRESS", "127.0.0.1:0"),
        ("API_GLOBAL_LIMIT", "100000"),
        ("BROKER_TYPE", "stdio"),
        ("DISCORD_API_URL", &format!("http://{there}/api/v10")),
        ("DISCORD_APPLICATION_ID", "1100000000000000001"),
        ("DISCORD_TOKEN", "sim.token"),
        ("HTTP_ADDRESS", here),
        ("LOG", "warn"),
    ]);
    command
}
