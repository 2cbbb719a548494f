//! songbird, which sends the sound: told what to do, and what it tells.
//!
//! It has threads and tasks of its own. What it tells comes as [`Note`]s, in the order in which it happened.

use std::{fmt, num::NonZeroU8, num::NonZeroU64, time::Duration};

use async_trait::async_trait;
use recording::Ears;
use songbird::{
    Config, ConnectionInfo, CoreEvent, Event, EventContext, EventHandler, TrackEvent,
    driver::{
        DecodeMode, DisposalThread, Driver, Scheduler, SchedulerConfig,
        retry::{Retry, Strategy},
    },
    error::ConnectionError,
    events::context_data::{DisconnectKind, DisconnectReason},
    id::{ChannelId, GuildId, UserId},
    model::CloseCode,
    tracks::{PlayMode, Track, TrackHandle, TrackState},
};
use sound::{Health, Opened};
use tokio::{sync::mpsc, time::timeout};

use crate::{handshake::Info, metrics::Metrics};

/// How many notes may wait. songbird waits when there are more.
const NOTES: usize = 64;
/// How long the connection may take.
const CONNECTING: Duration = Duration::from_secs(10);
/// The pause before the one attempt that follows a connection that was not made.
const RETRY: Duration = Duration::from_millis(250);
/// How long it may take to say how far a track is: it does so every 20 ms while it is connected.
const ASKING: Duration = Duration::from_millis(200);

/// What songbird tells.
#[derive(Debug)]
pub(crate) enum Note {
    /// The connection has ended: with this code, if Discord has closed it.
    Closed(Option<u16>),
    /// Somebody is about to send sound, for the first time or in another way.
    Manner(u64, Manner),
    /// Somebody speaks, or does so no more.
    Speaks(u64, bool),
    /// Somebody has left.
    Left(u64),
    /// What was played, by its number, has ended.
    Ended(u64, End),
}

/// How somebody sends sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// By a microphone.
    pub(crate) microphone: bool,
    /// As the sound of what they share.
    pub(crate) soundshare: bool,
    /// So that the others become quieter.
    pub(crate) priority: bool,
}

impl Manner {
    /// Not at all.
    pub(crate) const SILENT: Self = Self {
        microphone: false,
        soundshare: false,
        priority: false,
    };
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            microphone: true,
            ..Self::SILENT
        }
    }
}

/// How a track ended.
#[derive(Debug)]
pub(crate) struct End {
    /// How far songbird was.
    pub(crate) position: Duration,
    /// What was wrong, if it was not its end.
    pub(crate) error: Option<String>,
}

/// The songbird of one call.
pub(crate) struct Player {
    driver: Driver,
    metrics: Metrics,
    ears: Ears,
    guild_id: NonZeroU64,
    user_id: NonZeroU64,
    notes: mpsc::Sender<Note>,
    /// How many tracks were played.
    number: u64,
}

/// A track in songbird. It ends when this is dropped.
pub(crate) struct Playing {
    handle: TrackHandle,
    health: Health,
    metrics: Metrics,
    /// By what notes name it.
    pub(crate) number: u64,
    /// Whether it has positions.
    pub(crate) seekable: bool,
}

/// What all calls share.
#[derive(Clone)]
pub(crate) struct Common {
    config: Config,
    scheduler: Scheduler,
    metrics: Metrics,
}

impl Common {
    /// What the calls of a process share: a thread that frees memory, and those that mix.
    pub(crate) fn new(metrics: Metrics) -> Self {
        let mut scheduling = SchedulerConfig::default();
        // When songbird moves a call to another thread since a tick took too long, it does so between the making of packets
        // and their sending, and another call of the thread sends what nobody can decrypt. With 16 calls of one
        // thread a tick takes that long only when all do.
        scheduling.move_expensive_tasks = false;
        let scheduler = Scheduler::new(scheduling);
        let retry = Retry {
            strategy: Strategy::Every(RETRY.into()),
            retry_limit: NonZeroU8::new(1),
        };
        let config = Config::default()
            .scheduler(scheduler.clone())
            .disposer(DisposalThread::run())
            // It cannot be changed while there is a connection. To a bot that is deaf Discord sends nothing.
            .decode_mode(DecodeMode::Decrypt)
            .driver_retry(retry)
            .driver_timeout(Some(CONNECTING));
        Self {
            config,
            scheduler,
            metrics,
        }
    }

    /// How long each thread that mixes took for its last tick of 20 ms.
    pub(crate) async fn ticks(&self) -> Vec<Duration> {
        let Ok(workers) = self.scheduler.worker_thread_stats().await else {
            return Vec::new();
        };
        let busy = workers.iter().filter(|worker| worker.live_mixers() > 0);
        busy.map(|worker| Duration::from_nanos(worker.last_compute_cost_ns()))
            .collect()
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}

impl Player {
    /// A songbird of its own for a call, and what it tells.
    pub(crate) fn new(
        common: &Common,
        guild_id: NonZeroU64,
        user_id: NonZeroU64,
    ) -> (Self, mpsc::Receiver<Note>) {
        let (notes, noted) = mpsc::channel(NOTES);
        let mut driver = Driver::new(common.config.clone());
        for event in [
            CoreEvent::DriverDisconnect,
            CoreEvent::SpeakingStateUpdate,
            CoreEvent::ClientDisconnect,
        ] {
            driver.add_global_event(event.into(), Ear(notes.clone()));
        }
        let speaks = notes.clone();
        let ears = Ears::telling(move |user, is| speaks.try_send(Note::Speaks(user, is)).is_ok());
        ears.listen(&mut driver);
        let player = Self {
            driver,
            metrics: common.metrics.clone(),
            ears,
            guild_id,
            user_id,
            notes,
            number: 0,
        };
        (player, noted)
    }

    /// Makes the connection, in place of the one that there is. Why there is none is a close code, if Discord has
    /// given one.
    pub(crate) fn connect(
        &mut self,
        info: &Info,
    ) -> impl Future<Output = Result<(), Option<u16>>> + Send + use<> {
        self.ears.renew();
        let connecting = NonZeroU64::new(info.channel_id).map(|channel_id| {
            self.driver.connect(ConnectionInfo {
                channel_id: ChannelId(channel_id),
                endpoint: info.endpoint.clone(),
                guild_id: GuildId(self.guild_id),
                session_id: info.session_id.clone(),
                token: info.token.clone(),
                user_id: UserId(self.user_id),
            })
        });
        async move {
            let connecting = connecting.ok_or(None)?;
            connecting.await.map_err(|error| {
                tracing::debug!(%error, "no connection to the voice server");
                match error {
                    ConnectionError::AttemptDiscarded => None,
                    error => close_code(&error),
                }
            })
        }
    }

    /// What is heard in the call.
    pub(crate) fn ears(&self) -> &Ears {
        &self.ears
    }

    /// Ends the connection.
    pub(crate) fn leave(&mut self) {
        self.driver.leave();
    }

    /// Sends nothing while it is mute.
    pub(crate) fn mute(&mut self, mute: bool) {
        self.driver.mute(mute);
    }

    /// Plays what was opened, from this position.
    pub(crate) fn play(
        &mut self,
        opened: Opened,
        volume: f64,
        position: Duration,
        paused: bool,
    ) -> Playing {
        self.number += 1;
        let number = self.number;
        let mut track = Track::new(opened.input).volume(loudness(volume)).pause();
        let ear = EndEar {
            number,
            notes: self.notes.clone(),
        };
        track.events.add_event(
            songbird::events::EventData::new(Event::Track(TrackEvent::End), ear),
            Duration::ZERO,
        );
        let handle = self.driver.play(track);
        let playing = Playing {
            handle,
            health: opened.health,
            metrics: self.metrics.clone(),
            number,
            seekable: opened.seekable,
        };
        if !position.is_zero() {
            // It is carried out before the first sound.
            drop(playing.handle.seek(position));
        }
        if !paused {
            playing.resume();
        }
        playing
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player")
            .field("guild_id", &self.guild_id)
            .finish_non_exhaustive()
    }
}

impl Playing {
    /// Holds it.
    pub(crate) fn pause(&self) {
        self.tell(TrackHandle::pause);
    }

    /// Goes on.
    pub(crate) fn resume(&self) {
        self.health.rest();
        self.tell(TrackHandle::play);
    }

    /// The connection stands again: what it could not take meanwhile is not late.
    pub(crate) fn reconnected(&self) {
        self.health.rest();
    }

    /// Counts what was sent since that was last done.
    pub(crate) fn count(&self) {
        self.metrics.sent(&self.health.taken());
    }

    /// Changes how loud it is.
    pub(crate) fn set_volume(&self, volume: f64) {
        self.tell(|handle| handle.set_volume(loudness(volume)));
    }

    /// Goes to this position; where it is then.
    pub(crate) fn seek(
        &self,
        position: Duration,
    ) -> impl Future<Output = Result<Duration, Option<sound::Error>>> + Send + use<> {
        let (seeking, health) = (self.handle.seek(position), self.health.clone());
        async move {
            let reached = seeking.result_async().await;
            match health.refused_seek() {
                Some(error) => Err(Some(error)),
                None => reached.map_err(|_| None),
            }
        }
    }

    /// How far it is, if songbird says so.
    pub(crate) async fn position(&self) -> Option<Duration> {
        let state = timeout(ASKING, self.handle.get_info()).await;
        let position = state.ok()?.ok()?.position;
        Some(position.saturating_sub(self.health.waited()))
    }

    /// How far it was at its end, by what songbird says.
    pub(crate) fn heard(&self, position: Duration) -> Duration {
        position.saturating_sub(self.health.waited())
    }

    /// Why its source broke off, if it did.
    pub(crate) fn failure(&self) -> Option<sound::Error> {
        self.health.failure()
    }

    /// A track that has ended takes no commands; its end is told anyway.
    fn tell<E: fmt::Display>(&self, command: impl FnOnce(&TrackHandle) -> Result<(), E>) {
        if let Err(error) = command(&self.handle) {
            tracing::trace!(%error, "the track has ended");
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.count();
        self.tell(TrackHandle::stop);
    }
}

impl fmt::Debug for Playing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playing")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Hears of the connection.
struct Ear(mpsc::Sender<Note>);

#[async_trait]
impl EventHandler for Ear {
    async fn act(&self, context: &EventContext<'_>) -> Option<Event> {
        let note = match context {
            // Whoever connects hears by himself of what became of it.
            EventContext::DriverDisconnect(data) if data.kind != DisconnectKind::Connect => {
                match data.reason {
                    Some(DisconnectReason::WsClosed(code)) => Note::Closed(code.map(number)),
                    Some(DisconnectReason::Requested | DisconnectReason::AttemptDiscarded) => {
                        return None;
                    }
                    _ => Note::Closed(None),
                }
            }
            EventContext::SpeakingStateUpdate(it) => {
                let manner = Manner {
                    microphone: it.speaking.microphone(),
                    soundshare: it.speaking.soundshare(),
                    priority: it.speaking.priority(),
                };
                let user_id = it.user_id?.0;
                if manner == Manner::SILENT {
                    return None;
                }
                Note::Manner(user_id, manner)
            }
            EventContext::ClientDisconnect(it) => Note::Left(it.user_id.0),
            _ => return None,
        };
        send(&self.0, note).await
    }
}

/// Hears of the end of a track.
struct EndEar {
    number: u64,
    notes: mpsc::Sender<Note>,
}

#[async_trait]
impl EventHandler for EndEar {
    async fn act(&self, context: &EventContext<'_>) -> Option<Event> {
        let EventContext::Track([(state, _), ..]) = context else {
            return None;
        };
        let TrackState {
            playing, position, ..
        } = state;
        let error = match playing {
            PlayMode::Errored(error) => Some(error.to_string()),
            _ => None,
        };
        let end = End {
            position: *position,
            error,
        };
        send(&self.notes, Note::Ended(self.number, end)).await
    }
}

/// Waits while there is no room; when the call is over, nobody needs to hear it.
async fn send(notes: &mpsc::Sender<Note>, note: Note) -> Option<Event> {
    match notes.send(note).await {
        Ok(()) => None,
        Err(_) => Some(Event::Cancel),
    }
}

/// The code with which Discord has closed the connection before it stood.
fn close_code(error: &ConnectionError) -> Option<u16> {
    match DisconnectReason::from(error) {
        DisconnectReason::WsClosed(code) => code.map(number),
        _ => None,
    }
}

fn number(code: CloseCode) -> u16 {
    code as u16
}

fn loudness(volume: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 4")]
    let volume = volume as f32;
    volume
}
