//! One connection to RabbitMQ that can be ended at any moment.
//!
//! The client runs each connection on a thread of its own, which does not end while the broker
//! keeps silent in the middle of the login. So we open the socket ourselves and keep a second
//! handle to it: whoever gives up pulls the plug, and the thread is gone.

use std::{
    io, mem,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::BoxStream};
use lapin::{AsyncTcpStream, Channel, ConnectionProperties, tcp::OwnedTLSConfig};
use tokio::time;

use super::{
    down::{Down, Stage},
    place::Place,
};

/// How long connecting and logging in may take together.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a single question to a connected broker may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long we wait for the broker to say goodbye.
const CLOSE: Duration = Duration::from_secs(2);

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway";

/// A connection; dropping it ends it at once.
#[derive(Debug)]
pub(super) struct Connection {
    client: Arc<lapin::Connection>,
    _plug: Plug,
}

/// Opens channels on a connection, but does not keep it.
#[derive(Clone, Debug)]
pub(super) struct Channels(Arc<lapin::Connection>);

impl Channels {
    /// Opens a channel.
    pub(super) async fn open(&self) -> Result<Channel, Down> {
        answer("opening a channel", Stage::Declare, self.0.create_channel()).await
    }
}

impl Connection {
    /// Connects and logs in.
    pub(super) async fn open(place: &Place) -> Result<Self, Down> {
        let plug = Plug::default();
        let connecting = connect(place, Arc::clone(&plug.0));
        match time::timeout(CONNECT, connecting).await {
            Ok(Ok(client)) => Ok(Self {
                client: Arc::new(client),
                _plug: plug,
            }),
            Ok(Err(error)) => Err(Down::from_error(&error, Stage::Connect)),
            Err(_) => Err(Down::TimedOut("connecting", CONNECT)),
        }
    }

    /// What others need to open channels.
    pub(super) fn channels(&self) -> Channels {
        Channels(Arc::clone(&self.client))
    }

    /// What the broker tells about the connection as a whole.
    pub(super) fn events(&self) -> BoxStream<'static, lapin::Event> {
        self.client.events_listener().boxed()
    }

    /// Whether the connection still works, as far as the client knows.
    pub(super) fn is_alive(&self) -> bool {
        self.client.status().connected()
    }

    /// Says goodbye, so that the broker does not log a broken connection.
    pub(super) async fn close(self) {
        let goodbye = self.client.close(200, "goodbye".into());
        match time::timeout(CLOSE, goodbye).await {
            Ok(Ok(())) => tracing::debug!("the connection to RabbitMQ is closed"),
            Ok(Err(error)) => tracing::debug!(%error, "RabbitMQ did not answer the goodbye"),
            Err(_) => tracing::debug!("RabbitMQ did not answer the goodbye in time"),
        }
    }
}

/// Waits for the broker's answer to a question, but not for ever.
pub(super) async fn answer<T>(
    what: &'static str,
    stage: Stage,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Down> {
    match time::timeout(ANSWER, question).await {
        Ok(result) => result.map_err(|error| Down::from_error(&error, stage)),
        Err(_) => Err(Down::TimedOut(what, ANSWER)),
    }
}

async fn connect(place: &Place, socket: Arc<Mutex<Socket>>) -> lapin::Result<lapin::Connection> {
    let properties = ConnectionProperties::default().with_connection_name(NAME.into());
    let runtime = lapin::runtime::default_runtime()?;
    let encrypted = place.is_encrypted();
    lapin::Connection::connector(
        place.uri(),
        runtime,
        async move |uri, runtime| {
            let host = uri.authority.host;
            let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
            let opening = AsyncTcpStream::connect(&runtime, addresses);
            let stream = time::timeout(CONNECT, opening)
                .await
                .map_err(io::Error::from)??;
            if let AsyncTcpStream::Plain(stream) = &stream {
                let handle = stream.get_ref().as_fd().try_clone_to_owned()?;
                plug_in(&socket, handle.into())?;
            }
            if !encrypted {
                return Ok(stream);
            }
            let config = OwnedTLSConfig::default();
            let securing = stream.into_tls(&host, config.as_ref());
            Ok(time::timeout(CONNECT, securing)
                .await
                .map_err(io::Error::from)??)
        },
        properties,
    )
    .await
}

/// The second handle to a connection's socket.
#[derive(Debug, Default)]
enum Socket {
    /// There is no connection yet.
    #[default]
    Absent,
    /// There is one.
    Open(TcpStream),
    /// There must not be one any more.
    Pulled,
}

/// Shuts the socket down when it is dropped, whatever the client is doing with it.
#[derive(Debug, Default)]
struct Plug(Arc<Mutex<Socket>>);

impl Drop for Plug {
    fn drop(&mut self) {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Socket::Open(stream) = mem::replace(&mut *socket, Socket::Pulled)
            && let Err(error) = stream.shutdown(Shutdown::Both)
        {
            tracing::trace!(%error, "the socket was shut down already");
        }
    }
}

/// Keeps the handle, unless the plug was pulled in the meantime.
fn plug_in(socket: &Mutex<Socket>, stream: TcpStream) -> io::Result<()> {
    let mut socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*socket, Socket::Pulled) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    *socket = Socket::Open(stream);
    Ok(())
}
