//! The connection: made when it is needed, thrown away when it fails, never waited for without end.

use std::{fs, io, path::Path, time::Duration};

use boot::{Backoff, ExposeSecret, SecretString, config::Certificates};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ErrorKind, IntoConnectionInfo as _, RedisError,
    RedisResult, ServerErrorKind, TlsCertificates, aio::MultiplexedConnection,
    io::tcp::TcpSettings,
};
use tokio::{
    sync::Mutex,
    task,
    time::{Instant, timeout_at},
};

use crate::Error;

/// How long a call may take, with all that it has to wait for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait before connecting again. Whoever was cut off has to be back long before leases
/// run out.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The way to the server. All calls share one connection.
pub(super) struct Link {
    url: SecretString,
    tls: Certificates,
    state: Mutex<State>,
}

struct State {
    connection: Option<MultiplexedConnection>,
    /// Which connection this is, counted from the first.
    number: u64,
    backoff: Backoff,
    /// When to connect again, and why not now.
    pause: Option<(Instant, RedisError)>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Names the server; nothing is connected yet.
    pub(super) fn new(url: &SecretString, tls: &Certificates) -> Result<Self, Error> {
        client(url, tls).map_err(|source| Error::Url { source })?;
        let state = State {
            connection: None,
            number: 0,
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            pause: None,
        };
        Ok(Self {
            url: url.clone(),
            tls: tls.clone(),
            state: Mutex::new(state),
        })
    }

    /// Makes one call, on a connection that stands or a new one.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + TIMEOUT;
        let (connection, number) = match timeout_at(deadline, self.connection(deadline)).await {
            Ok(connection) => connection.map_err(error)?,
            Err(_) => return Err(error(too_late())),
        };
        let result = timeout_at(deadline, call(connection)).await;
        let result = result.unwrap_or_else(|_| Err(too_late()));
        if let Err(cause) = &result
            && is_the_connections(cause)
        {
            self.state.lock().await.lose(number, cause);
        }
        result.map_err(error)
    }

    /// The connection. While it is made, all others wait for it too.
    async fn connection(&self, deadline: Instant) -> RedisResult<(MultiplexedConnection, u64)> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        if let Some((until, cause)) = &state.pause
            && *until > Instant::now()
        {
            return Err(cause.clone());
        }
        state.number += 1;
        let number = state.number;
        // Our deadline is the only one.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let made = timeout_at(deadline, self.connect(&config)).await;
        match made.unwrap_or_else(|_| Err(too_late())) {
            Ok(connection) => {
                state.connection = Some(connection.clone());
                state.backoff.reset();
                Ok((connection, number))
            }
            Err(cause) => {
                state.lose(number, &cause);
                Err(cause)
            }
        }
    }

    /// A new connection, with the files as they are now.
    async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let client = match self.tls.is_empty() {
            true => client(&self.url, &self.tls)?,
            false => {
                let (url, tls) = (self.url.clone(), self.tls.clone());
                let reading = task::spawn_blocking(move || client(&url, &tls));
                reading.await.map_err(io::Error::other)??
            }
        };
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}

impl State {
    /// Throws this connection away, unless there is a newer one.
    fn lose(&mut self, number: u64, cause: &RedisError) {
        if self.number == number {
            self.connection = None;
            self.pause = Some((Instant::now() + self.backoff.next(), cause.clone()));
        }
    }
}

/// The client, which does not connect yet. Reads the files, if there are any.
pub(crate) fn client(url: &SecretString, tls: &Certificates) -> RedisResult<Client> {
    // A connection that is given up must not deliver later what it still has to send: by then
    // something newer may have been written.
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_linger_time(Duration::ZERO);
    let info = url.expose_secret().into_connection_info()?;
    let info = info.set_tcp_settings(tcp);
    if tls.is_empty() {
        return Client::open(info);
    }
    let own = match &tls.identity {
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        }),
        None => None,
    };
    let certificates = TlsCertificates {
        client_tls: own,
        root_cert: tls.roots.as_deref().map(read).transpose()?,
    };
    Client::build_with_tls(info, certificates)
}

fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    fs::read(path).map_err(named)
}

fn too_late() -> RedisError {
    let reason = format!("no answer within {TIMEOUT:?}");
    io::Error::new(io::ErrorKind::TimedOut, reason).into()
}

/// Whether another connection may do better: this one is broken, or leads to a server that may not
/// write any more.
fn is_the_connections(error: &RedisError) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly};
    match error.kind() {
        ErrorKind::Server(kind) => matches!(kind, MasterDown | ReadOnly),
        ErrorKind::Extension => false,
        _ => true,
    }
}

/// What an error of the client library means for us.
fn error(source: RedisError) -> Error {
    let text = source.to_string();
    if let Some((_, told)) = text.split_once("CORRUPT ") {
        let mut told = serde_json::Deserializer::from_str(told).into_iter::<[String; 3]>();
        if let Some(Ok([key, field, reason])) = told.next() {
            return Error::Corrupt { key, field, reason };
        }
    }
    match source.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Error::Refused { source }
        }
        ErrorKind::Extension if matches!(source.code(), Some("NOAUTH" | "WRONGPASS")) => {
            Error::Refused { source }
        }
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
            Error::Failed { source }
        }
        _ => Error::Away { source },
    }
}
