//! The HTTP listener: Discord's REST routes and the control interface under `/sim`.

mod control;
mod rest;

use std::{io, sync::Arc};

use axum::{Extension, Router, extract::DefaultBodyLimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// The largest request to the control interface: payloads of several megabytes are wanted.
const LARGEST: usize = 64 << 20;

/// Serves until the shutdown.
pub(crate) async fn serve(
    listener: TcpListener,
    world: Arc<World>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .nest("/sim", control::routes())
        .fallback(rest::answer)
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(Extension(shutdown.clone()))
        .with_state(world);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}
