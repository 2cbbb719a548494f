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
use lapin::{AsyncTcpStream, Channel, ConnectionProperties, tcp::RustlsConnector};
use tokio::{task, time};

use crate::{Down, Place, Stage};

/// How long connecting and logging in may take together.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a single question to a connected broker may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long we wait for the broker to say goodbye.
const CLOSE: Duration = Duration::from_secs(2);

/// A connection; dropping it ends it at once.
#[derive(Debug)]
pub struct Connection {
    client: Arc<lapin::Connection>,
    place: Place,
    _plug: Plug,
}

/// Opens channels on a connection, but does not keep it.
#[derive(Clone, Debug)]
pub struct Channels {
    client: Arc<lapin::Connection>,
    place: Place,
}

impl Channels {
    /// Where the connection leads.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Opens a channel.
    pub async fn open(&self) -> Result<Channel, Down> {
        let opening = self.client.create_channel();
        answer("opening a channel", Stage::Declare, opening).await
    }
}

impl Connection {
    /// Connects and logs in; RabbitMQ's list of connections shows `name`.
    pub async fn open(place: &Place, name: &str) -> Result<Self, Down> {
        let plug = Plug::default();
        let connecting = connect(place, name, Arc::clone(&plug.0));
        match time::timeout(CONNECT, connecting).await {
            Ok(Ok(client)) => Ok(Self {
                client: Arc::new(client),
                place: place.clone(),
                _plug: plug,
            }),
            Ok(Err(error)) => Err(Down::from_error(&error, Stage::Connect)),
            Err(_) => Err(Down::TimedOut("connecting", CONNECT)),
        }
    }

    /// What others need to open channels.
    pub fn channels(&self) -> Channels {
        Channels {
            client: Arc::clone(&self.client),
            place: self.place.clone(),
        }
    }

    /// What the broker tells about the connection as a whole.
    pub fn events(&self) -> BoxStream<'static, lapin::Event> {
        self.client.events_listener().boxed()
    }

    /// Whether the connection still works, as far as the client knows.
    pub fn is_alive(&self) -> bool {
        self.client.status().connected()
    }

    /// Says goodbye, so that the broker does not log a broken connection.
    pub async fn close(self) {
        let goodbye = self.client.close(200, "goodbye".into());
        match time::timeout(CLOSE, goodbye).await {
            Ok(Ok(())) => tracing::debug!("the connection to RabbitMQ is closed"),
            Ok(Err(error)) => tracing::debug!(%error, "RabbitMQ did not answer the goodbye"),
            Err(_) => tracing::debug!("RabbitMQ did not answer the goodbye in time"),
        }
    }
}

/// Waits for the broker's answer to a question, but not for ever.
pub async fn answer<T>(
    what: &'static str,
    stage: Stage,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Down> {
    match time::timeout(ANSWER, question).await {
        Ok(result) => result.map_err(|error| Down::from_error(&error, stage)),
        Err(_) => Err(Down::TimedOut(what, ANSWER)),
    }
}

async fn connect(
    place: &Place,
    name: &str,
    socket: Arc<Mutex<Socket>>,
) -> lapin::Result<lapin::Connection> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    let connector = match place.is_encrypted() {
        true => Some(connector(place).await?),
        false => None,
    };
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
            let Some(connector) = &connector else {
                return Ok(stream);
            };
            let securing = stream.into_rustls(connector, &host);
            Ok(time::timeout(CONNECT, securing)
                .await
                .map_err(io::Error::from)??)
        },
        properties,
    )
    .await
}

/// Reads files.
async fn connector(place: &Place) -> io::Result<RustlsConnector> {
    let tls = place.tls().clone();
    let config = task::spawn_blocking(move || tls.config()).await??;
    Ok(RustlsConnector::from(config))
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
