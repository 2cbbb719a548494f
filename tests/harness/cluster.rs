//! A RabbitMQ cluster of three nodes on this machine, behind one address.

use anyhow::{Context as _, Result};

use crate::{balancer::Balancer, rabbitmq::Rabbit};

/// Three nodes and the balancer in front of them.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Rabbit>,
    balancer: Balancer,
}

impl Cluster {
    /// Starts all nodes, one after the other.
    pub async fn start() -> Result<Self> {
        let first = Rabbit::start()?;
        let (second, third) = (first.joined()?, first.joined()?);
        // The last is dropped last, and the first has what all need.
        let nodes = vec![third, second, first];
        let ports = nodes.iter().map(Rabbit::port).collect();
        let balancer = Balancer::start(ports).await?;
        Ok(Self { nodes, balancer })
    }

    /// Where and how to connect.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.balancer.port())
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Ends a node as a power cut would.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.node(number)?.kill()
    }

    /// Starts a node again.
    pub fn restart(&mut self, number: usize) -> Result<()> {
        self.node(number)?.restart()
    }

    fn node(&mut self, number: usize) -> Result<&mut Rabbit> {
        self.nodes.get_mut(number).context("there is such a node")
    }
}
