//! The handle of a running voice server.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    certificate::Certificate,
    config::{Faults, Settings},
    connection,
    error::Error,
    hall::Hall,
    session::Grant,
    state::State,
    sync::lock,
    tone, udp,
    violations::{Violation, Violations, Watcher},
};

/// How long stopping may take before tasks are aborted.
const GRACE: Duration = Duration::from_secs(5);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long to wait when the system has no more file descriptors.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(50);
/// Frames of 20 ms in a second.
const FRAMES: u64 = 50;

/// What is settled when the voice server starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listener of the websocket; packets are taken at the same IP address.
    pub address: SocketAddr,
    /// The certificate; absent: a new one.
    pub certificate: Option<Certificate>,
    /// Where the certificate is written, as PEM, for clients to trust.
    pub certificate_file: Option<PathBuf>,
    /// What can be changed later.
    pub settings: Settings,
    /// Who is told of violations at once.
    pub watcher: Option<Watcher>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            certificate: None,
            certificate_file: None,
            settings: Settings::default(),
            watcher: None,
        }
    }
}

/// The clients that an order is for: all of them, those of a guild, or those of a user.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Only in this guild.
    pub guild_id: Option<u64>,
    /// Only this user's.
    pub user_id: Option<u64>,
}

/// A tone that a simulated user is to say.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Speak {
    /// The channel.
    pub channel_id: u64,
    /// The user, who comes if he is not there.
    pub user_id: u64,
    /// The pitch in whole hertz, 50 to 10,000.
    pub frequency_hz: u32,
    /// How long; absent: until the call or an order ends it.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

/// A running voice server; dropping it ends everything.
#[derive(Debug)]
pub struct VoiceServer {
    shared: Arc<Shared>,
    endpoints: [String; 2],
    packets: SocketAddr,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    _guard: DropGuard,
}

/// What all tasks have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    hall: Mutex<Hall>,
    pub(crate) certificate: Certificate,
    connections: AtomicU64,
}

impl Shared {
    pub(crate) fn hall(&self) -> MutexGuard<'_, Hall> {
        lock(&self.hall)
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl VoiceServer {
    /// Opens the listener and the UDP socket, and starts.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened, there is no certificate or its file cannot be written.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let certificate = config.certificate.map_or_else(Certificate::generate, Ok)?;
        if let Some(path) = &config.certificate_file {
            tokio::fs::write(path, certificate.pem()).await?;
        }
        let listener = TcpListener::bind(config.address).await?;
        let socket = Arc::new(UdpSocket::bind((config.address.ip(), 0)).await?);
        let port = listener.local_addr()?.port();
        let mut address = socket.local_addr()?;
        if address.ip().is_unspecified() {
            // Clients are told an address that leads somewhere.
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let endpoints = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        let mut hall = Hall::new(
            config.settings,
            Arc::clone(&socket),
            address,
            endpoints.clone(),
        );
        hall.violations = Violations::new(config.watcher);
        let work = Arc::clone(&hall.work);
        let shared = Arc::new(Shared {
            hall: Mutex::new(hall),
            certificate,
            connections: AtomicU64::new(0),
        });
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&shared), shutdown.clone()));
        tasks.spawn(udp::receive(socket, Arc::clone(&shared), shutdown.clone()));
        tasks.spawn(udp::speak(Arc::clone(&shared), work, shutdown.clone()));
        let guard = shutdown.clone().drop_guard();
        Ok(Self {
            shared,
            endpoints,
            packets: address,
            shutdown,
            tasks,
            _guard: guard,
        })
    }

    /// Where clients connect, without `wss://`: two names of the same place, so that there is one to move to.
    #[must_use]
    pub fn endpoints(&self) -> &[String; 2] {
        &self.endpoints
    }

    /// Where packets are taken, as Ready says.
    #[must_use]
    pub fn packets(&self) -> SocketAddr {
        self.packets
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        self.shared.certificate.pem()
    }

    /// A client may come. What it had before with another token ends with 4014.
    pub fn allow(&self, grant: Grant) {
        self.shared.hall().allow(Instant::now(), grant);
    }

    /// A client may come no more; what it has ends with 4014.
    pub fn revoke(&self, guild_id: u64, user_id: u64) {
        self.shared.hall().revoke(Instant::now(), guild_id, user_id);
    }

    /// Closes connections with the code; returns how many. Sessions end, except with 4015.
    ///
    /// # Errors
    ///
    /// When there is no such session, or the code is none of a voice server's.
    pub fn close(&self, target: Target, code: u16) -> Result<usize, Error> {
        self.shared.hall().close_all(Instant::now(), target, code)
    }

    /// Ends TCP connections without a close frame; returns how many.
    ///
    /// # Errors
    ///
    /// When there is no such session.
    pub fn drop_connections(&self, target: Target) -> Result<usize, Error> {
        self.shared.hall().drop_all(target)
    }

    /// Passes on what clients say, or not; returns how many.
    ///
    /// # Errors
    ///
    /// When there is no such session.
    pub fn mute(&self, target: Target, muted: bool) -> Result<usize, Error> {
        self.shared.hall().mute(target, muted)
    }

    /// A simulated user comes into a channel. The call, and with it he, ends when its last client goes.
    pub fn seat(&self, channel_id: u64, user_id: u64) {
        self.shared.hall().seat(Instant::now(), channel_id, user_id);
    }

    /// A simulated user leaves a channel.
    ///
    /// # Errors
    ///
    /// When he is not there.
    pub fn unseat(&self, channel_id: u64, user_id: u64) -> Result<(), Error> {
        self.shared
            .hall()
            .unseat(Instant::now(), channel_id, user_id)
    }

    /// A simulated user says a tone.
    ///
    /// # Errors
    ///
    /// When there is no such tone, or the user is a client's.
    pub fn speak(&self, speak: Speak) -> Result<(), Error> {
        let Speak {
            channel_id,
            user_id,
            frequency_hz,
            duration_ms,
        } = speak;
        if !(50..=10_000).contains(&frequency_hz) {
            return Err(Error::Invalid(format!(
                "a tone has 50 to 10,000 Hz, not {frequency_hz}"
            )));
        }
        let frames = tone::encode(frequency_hz)?.into();
        let left = duration_ms.map(|duration| duration.saturating_mul(FRAMES) / 1000);
        self.shared
            .hall()
            .speak(Instant::now(), channel_id, user_id, (frames, left))
    }

    /// A simulated user says no more.
    ///
    /// # Errors
    ///
    /// When he says nothing.
    pub fn hush(&self, channel_id: u64, user_id: u64) -> Result<(), Error> {
        self.shared.hall().hush(channel_id, user_id)
    }

    /// Takes a call to another version of DAVE: 0 for none, 1 for a new group.
    ///
    /// # Errors
    ///
    /// When there is no such call, or it began without DAVE.
    pub fn change_dave(&self, channel_id: u64, version: u16) -> Result<(), Error> {
        self.shared
            .hall()
            .change_dave(Instant::now(), channel_id, version)
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shared.hall().settings.clone()
    }

    /// Changes settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.hall().settings);
    }

    /// The faults that are switched on.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.shared.hall().faults.clone()
    }

    /// Switches faults on and off.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.hall().faults);
    }

    /// Everything at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        let (mut state, samples) = self.shared.hall().state();
        // The clock goes on meanwhile: what is heard is timed.
        let living = state.clients.iter_mut().rev().zip(samples.iter().rev());
        living.for_each(|(client, samples)| client.heard.measure(samples));
        state
    }

    /// What clients did against Discord's rules.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.hall().violations.list()
    }

    /// Forgets the violations so far.
    pub fn clear_violations(&self) {
        self.shared.hall().violations.clear();
    }

    /// Waits until the state is as wanted.
    ///
    /// # Errors
    ///
    /// When it does not come to that in time.
    pub async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&State) -> bool,
    ) -> Result<State, Error> {
        wait_for(what, patience, || self.state(), wanted).await
    }

    /// Ends everything in order.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            tracing::warn!("the voice server's tasks did not end in time");
        }
    }
}

/// Looks again and again until what is seen is as wanted.
///
/// # Errors
///
/// When it does not come to that in time.
pub async fn wait_for<S>(
    what: &str,
    patience: Duration,
    look: impl Fn() -> S,
    wanted: impl Fn(&S) -> bool,
) -> Result<S, Error> {
    let looking = async {
        loop {
            let seen = look();
            if wanted(&seen) {
                return seen;
            }
            sleep(LOOK).await;
        }
    };
    timeout(patience, looking)
        .await
        .map_err(|_| Error::Timeout {
            what: what.to_owned(),
            seconds: patience.as_secs(),
        })
}

/// Accepts connections until the shutdown, and owns their tasks.
async fn listen(listener: TcpListener, shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(connection::serve(stream, shared, shutdown.clone()));
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
