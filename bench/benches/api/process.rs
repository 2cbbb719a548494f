//! What stands between callers and Discord, as a process that is measured from outside.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::time::{self, Instant};

use crate::{
    caller::{Caller, request},
    reference,
    upstream::Upstream,
};

/// How long it may take to answer the first request.
const START: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// `gateway-api`.
    Ours,
    /// The same, with the store at this address that other replicas have too.
    Shared(SocketAddr),
    /// The least that anybody could do.
    Reference,
}

impl Way {
    /// For a table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Ours => "gateway-api",
            Self::Shared(_) => "gateway-api with a store",
            Self::Reference => "a proxy that does nothing",
        }
    }
}

/// A running process; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(way: Way, program: &Path, upstream: &Upstream) -> Result<Self> {
        // It is free again, and nobody else looks for one just now.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (here, there) = (address.to_string(), upstream.address().to_string());
        let mut command = match way {
            Way::Ours => service(program, &here, &there),
            Way::Shared(store) => {
                let mut command = service(program, &here, &there);
                command.env("REDIS_URL", format!("redis://{store}"));
                command
            }
            Way::Reference => {
                let mut command = Command::new(env::current_exe()?);
                command.args([reference::WORD, &here, &there]);
                command
            }
        };
        // The service would take the end of its stdin for that of all requests over it.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let child = child.context("a process to measure")?;
        let process = Self { child, address };
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
        caller.ask(&request(1)).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that it has used so far.
    pub(crate) fn used(&self) -> Result<Duration> {
        Ok(bench::process::threads(self.child.id())?.values().sum())
    }

    /// Memory that it has resident, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        bench::process::resident(self.child.id())
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "the process has ended by itself"
        );
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("a process cannot be ended: {error}");
        }
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
