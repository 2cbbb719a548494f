//! An open address, and the connections that come to it.

#[cfg(test)]
mod tests;

use std::{io, iter, net::SocketAddr, panic, sync::Arc, time::Duration};

use boot::{CancellationToken, Context};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::sleep,
};

use crate::{Answer, Config, Error, Tls, connection};

/// How long to wait when the system gives no connection, such as when too many files are open.
const PAUSE: Duration = Duration::from_secs(1);

/// How many connections the system may have made that nobody has looked at.
const BACKLOG: usize = 1024;

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocols {
    /// HTTP/1.1.
    Http1,
    /// Over TLS also HTTP/2, for whoever wants it.
    Http1And2,
}

/// An open address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    protocols: Protocols,
    slots: Arc<Semaphore>,
    context: Context,
}

impl Listener {
    /// Opens the address.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] when it cannot be had.
    pub async fn bind(
        asked: SocketAddr,
        config: &Config,
        protocols: Protocols,
        context: &Context,
    ) -> Result<Self, Error> {
        let refused = |source: io::Error| Error::Listen {
            address: asked,
            source,
        };
        let socket = TcpListener::bind(asked).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            address,
            tls: config.tls.clone(),
            protocols,
            slots: Arc::new(Semaphore::new(config.connections)),
            context: context.clone(),
        })
    }

    /// The address, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has requests answered until the shutdown, and then those that have come already.
    pub async fn run<A: Answer>(self, answer: Arc<A>) {
        let Self {
            socket,
            tls,
            protocols,
            slots,
            context,
            ..
        } = self;
        let shutdown = context.shutdown;
        if let Some(tls) = tls.clone() {
            let watch = tls.watch(shutdown.clone());
            context.tasks.spawn("certificates", watch);
        }
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => reap(ended),
                (stream, caller, slot) = accept(&socket, &slots) => {
                    let acceptor = tls.as_ref().map(|tls| tls.acceptor(protocols));
                    let served = connection::serve(
                        stream,
                        acceptor,
                        Arc::clone(&answer),
                        caller,
                        CancellationToken::clone(&shutdown),
                    );
                    connections.spawn(async move {
                        served.await;
                        drop(slot);
                    });
                }
            }
        }
        // Callers that the system has connected already have never heard of the end.
        for (stream, caller) in waiting(socket) {
            let acceptor = tls.as_ref().map(|tls| tls.acceptor(protocols));
            let answer = Arc::clone(&answer);
            connections.spawn(connection::serve(
                stream,
                acceptor,
                answer,
                caller,
                shutdown.clone(),
            ));
        }
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    }
}

/// The connections that nobody has looked at yet; there will be no more.
fn waiting(socket: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(socket) = socket.into_std() else {
        return Vec::new();
    };
    let accepted = iter::from_fn(|| socket.accept().ok());
    let usable = accepted.take(BACKLOG).filter_map(|(stream, caller)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, caller))
    });
    usable.collect()
}

/// A panic is not kept from the service.
pub(crate) fn reap(ended: Result<(), JoinError>) {
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
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // It fails when the semaphore is closed, and nobody does that.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match socket.accept().await {
            Ok((stream, caller)) => return (stream, caller, slot),
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
