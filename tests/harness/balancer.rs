//! What stands in front of a cluster: one address, behind it the first node that answers.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// How long a node may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// A balancer; it ends when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    _task: JoinSet<()>,
}

impl Balancer {
    /// Passes connections on to one of these ports of this machine.
    pub async fn start(ports: Vec<u16>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, ports));
        Ok(Self { port, _task: task })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn serve(listener: TcpListener, ports: Vec<u16>) {
    let mut connections = JoinSet::new();
    // Each connection begins with another node, as with a balancer that takes turns.
    let mut turn = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                let mut nodes = ports.clone();
                nodes.rotate_left(turn % ports.len().max(1));
                turn += 1;
                connections.spawn(pass(client, nodes));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Connects to the first node that answers; without any the client's connection ends.
async fn pass(mut client: TcpStream, nodes: Vec<u16>) {
    for port in nodes {
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        if let Ok(Ok(mut node)) = timeout(PATIENCE, connecting).await {
            if let Err(error) = copy_bidirectional(&mut client, &mut node).await {
                tracing::debug!(%error, port, "a connection through the balancer ended");
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::Balancer;

    #[tokio::test]
    async fn a_dead_node_is_passed_over() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead_port = dead.local_addr().unwrap().port();
        drop(dead);
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive_port = alive.local_addr().unwrap().port();
        let balancer = Balancer::start(vec![dead_port, alive_port]).await.unwrap();
        for _ in 0..2 {
            let address = ("127.0.0.1", balancer.port());
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"hello").await.unwrap();
            let (mut node, _) = alive.accept().await.unwrap();
            let mut got = [0; 5];
            node.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hello");
        }
    }
}
