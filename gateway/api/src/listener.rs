//! The HTTP listener: a base URL for libraries that speak with Discord's HTTP API.
//!
//! To them it is Discord, whose limits are never in the way: requests wait here for their turn, with those of all other callers.

mod body;
mod config;
mod door;
mod headers;
mod reply;
mod request;
mod target;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use config::{Config, KEYS};

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    panic,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use boot::Context;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use self::{body::Bodies, door::Door, request::Front};
use crate::{Error, Gateway, http_errors::http_errors};

/// How long a connection may be idle, or take for the head of a request.
const IDLE: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no connection, such as when too many files are open.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a connection without a request is kept at the end.
const LINGER: Duration = Duration::from_secs(1);
/// The largest head of a request, in bytes; no URL of Discord's comes near it.
const HEAD: usize = 16 << 10;
/// The most headers of a request.
const HEADERS: usize = 64;

/// An open address.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<tls::Tls>,
    slots: Arc<Semaphore>,
    front: Arc<Front>,
}

impl Listener {
    /// Opens the address.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] when it cannot be had.
    pub(crate) async fn bind(
        config: &Config,
        common: &crate::Config,
        gateway: Gateway,
        context: &Context,
    ) -> Result<Self, Error> {
        let asked = config.address;
        let refused = |source: io::Error| Error::Listen {
            address: asked,
            source,
        };
        let socket = TcpListener::bind(asked).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let version = common
            .outbound
            .api_url
            .trim_end_matches('/')
            .rsplit('/')
            .next();
        let version = version.filter(|last| target::is_version(last));
        let front = Front {
            gateway,
            is_alone: common.applications.len() == 1,
            only: OnceLock::new(),
            door: Door::new(config.secret.clone(), config.tokens),
            bodies: Bodies::new(common.outbound.max_body, common.outbound.waiting_size),
            version: version.map(str::to_owned),
            timeout: common.outbound.timeout,
            errors: http_errors(&context.metrics),
            shutdown: context.shutdown.clone(),
        };
        Ok(Self {
            socket,
            address,
            tls: config.tls.clone(),
            slots: Arc::new(Semaphore::new(config.connections)),
            front: Arc::new(front),
        })
    }

    /// The address, with the port that the system chose if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until the shutdown, and then those that it has already.
    pub(crate) async fn run(self) {
        let Self {
            socket,
            tls,
            slots,
            front,
            ..
        } = self;
        let shutdown = front.shutdown.clone();
        let acceptor = tls.as_ref().map(tls::Tls::acceptor);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => reap(ended),
                (stream, slot) = accept(&socket, &slots) => {
                    let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
                    connections.spawn(async move {
                        serve(stream, acceptor, front).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(socket);
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    }
}

/// A panic is not kept from the service.
fn reap(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        panic::resume_unwind(error.into_panic());
    }
}

/// The next connection, when there may be one more.
async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It fails when the semaphore is closed, and nobody does that.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_of_caller(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken over HTTP; it is tried again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only this one caller is gone.
fn is_of_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, front: Arc<Front>) {
    // Answers are small, and waiting for more to send only makes them late. Without it they still come.
    stream.set_nodelay(true).ok();
    let Some(acceptor) = acceptor else {
        return speak(stream, front).await;
    };
    let shutdown = front.shutdown.clone();
    let handshake = timeout(HANDSHAKE, acceptor.accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => speak(stream, front).await,
        Some(Ok(Err(error))) => {
            tracing::debug!(%error, "a caller over HTTP has not come through TLS")
        }
        Some(Err(_)) | None => {}
    }
}

/// Speaks HTTP until one of both ends it.
async fn speak<S>(stream: S, front: Arc<Front>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let shutdown = front.shutdown.clone();
    let busy = AtomicBool::new(false);
    let (front, busy) = (&*front, &busy);
    let service = service_fn(|request| async move {
        busy.store(true, Ordering::Relaxed);
        let answer = front.answer(request).await;
        busy.store(false, Ordering::Relaxed);
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_header_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match shutdown.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => loop {
            // Who asks nothing, or does not read its answer, is not waited for.
            connection.as_mut().graceful_shutdown();
            match timeout(LINGER, connection.as_mut()).await {
                Ok(ended) => break ended,
                Err(_) if busy.load(Ordering::Relaxed) => {}
                Err(_) => return,
            }
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection over HTTP broke");
    }
}
