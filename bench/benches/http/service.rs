//! A `gateway-http` that is measured.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Result, ensure};
use bench::{
    caller::Caller,
    process::{Process, free_address},
};
use tokio::time::{self, Instant};

use crate::{
    Place,
    interactions::{APPLICATION, Interactions, Signed, hex},
    worker::{PREFIX, SAID},
};

/// How long it may take until a worker's answer comes through.
const START: Duration = Duration::from_secs(30);

/// How many answers come before anything is measured.
const WARM: usize = 500;

/// A running one.
pub(crate) struct Service {
    process: Process,
    address: SocketAddr,
}

impl Service {
    /// Starts it, and waits until interactions are answered by a worker.
    pub(crate) async fn start(place: &Place) -> Result<Self> {
        let (address, key) = (free_address()?, Interactions::new().public_key());
        let mut command = Command::new(&place.gateway_http);
        command.env_clear().envs([
            ("ADMIN_ADDRESS", "127.0.0.1:0"),
            ("AMQP_PREFIX", PREFIX),
            ("AMQP_URL", &place.amqp),
            ("DISCORD_APPLICATION_ID", &APPLICATION.to_string()),
            ("DISCORD_PUBLIC_KEY", &hex(key.as_bytes())),
            ("HTTP_ADDRESS", &address.to_string()),
            ("LOG", "error"),
        ]);
        let process = Process::start(&mut command)?;
        let service = Self { process, address };
        let deadline = Instant::now() + START;
        while service.warm_up().await.is_err() {
            ensure!(
                Instant::now() < deadline,
                "no worker's answer comes through"
            );
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(service)
    }

    async fn warm_up(&self) -> Result<()> {
        let mut caller = Caller::connect(self.address).await?;
        for interaction in Interactions::new().sign(WARM, Signed::Right) {
            let answer = caller.ask(&interaction.request, 200).await?;
            let is_said = answer
                .windows(SAID.len())
                .any(|part| part == SAID.as_bytes());
            ensure!(is_said, "it is not a worker's answer");
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that it has used so far.
    pub(crate) fn used(&self) -> Result<Duration> {
        self.process.used()
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop()
    }
}
