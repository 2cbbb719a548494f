//! Accepts TCP connections and owns their tasks.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{connection, connections::Door};
use crate::world::World;

/// How long to wait when the system has no more file descriptors.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(50);

/// Serves until the shutdown; ends with all its connections.
pub(crate) async fn run(
    listener: TcpListener,
    door: Door,
    world: Arc<World>,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    let world = Arc::clone(&world);
                    connections.spawn(connection::serve(stream, door, world, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(OUT_OF_RESOURCES).await;
                }
            },
            Some(ended) = connections.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a connection's task failed");
            },
        }
    }
    while connections.join_next().await.is_some() {}
}
