//! A Redis of a benchmark's own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};

/// How long it may take to start.
const START: Duration = Duration::from_secs(10);

/// A running server, which keeps nothing; it is killed when this is dropped.
#[derive(Debug)]
pub struct Store {
    child: Child,
    address: SocketAddr,
}

impl Store {
    /// Starts it, and waits until it takes connections.
    pub async fn start() -> Result<Self> {
        // It is free again, and nobody else looks for one just now.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        command.arg(address.port().to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.context("redis-server, which the benchmark needs")?;
        let store = Self { child, address };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            ensure!(Instant::now() < deadline, "Redis does not start");
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(store)
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("Redis cannot be ended: {error}");
        }
    }
}
