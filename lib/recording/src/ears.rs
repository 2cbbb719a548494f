//! What songbird hears of a call.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use songbird::{
    CoreEvent, Driver, Event, EventContext, EventHandler, events::context_data::RtpData,
    packet::Packet as _,
};
use tokio::{
    sync::mpsc::{self, Receiver},
    time::Instant,
};
use wire::gateway::v1::VoiceAudio;

use crate::{
    Error,
    audio::Format,
    files,
    order::{Packet, SILENCE},
    recording::Recording,
    speaking::Speaking,
    speech::{Sink, Speech},
};

/// Users of one call that are remembered.
const USERS: usize = 1000;
/// Messages that wait for whoever publishes them.
const MESSAGES: usize = 256;

/// The ears in a call. Discord says only once which stream of packets is whose, so they have to listen from its
/// beginning on, whether it is recorded or not.
#[derive(Clone, Debug, Default)]
pub struct Ears(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whose the streams are.
    pub(crate) users: HashMap<u32, u64>,
    pub(crate) speech: Option<Speech>,
    speaking: Speaking,
    /// Whether songbird listens.
    is_ticking: bool,
}

/// Which call is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The guild.
    pub guild_id: u64,
    /// The channel.
    pub channel_id: u64,
}

impl Ears {
    /// Ears that tell each time that a user begins to speak, and that he speaks no more. What is returned says whether there
    /// was room for it; if not, it is told again a little later.
    pub fn telling(tell: impl Fn(u64, bool) -> bool + Send + Sync + 'static) -> Self {
        let state = State {
            speaking: Speaking::telling(Box::new(tell)),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Listens to a call. songbird has to decrypt what it hears (`DecodeMode::Decrypt`).
    pub fn listen(&self, driver: &mut Driver) {
        for event in [
            CoreEvent::ClientDisconnect,
            CoreEvent::RtpPacket,
            CoreEvent::SpeakingStateUpdate,
            CoreEvent::VoiceTick,
        ] {
            driver.add_global_event(event.into(), self.clone());
        }
    }

    /// Whose stream of packets it is.
    #[must_use]
    pub fn user(&self, ssrc: u32) -> Option<u64> {
        self.state().users.get(&ssrc).copied()
    }

    /// Begins to make messages of what these users say; of what all say, when there are none. A recording that
    /// was going on ends.
    pub fn record_audio(
        &self,
        call: Call,
        users: HashSet<u64>,
        format: Format,
    ) -> (Recording, Receiver<VoiceAudio>) {
        let (sender, receiver) = mpsc::channel(MESSAGES);
        let sink = Sink::Audio {
            sender,
            guild_id: call.guild_id,
            channel_id: call.channel_id,
            format,
        };
        let recording = Recording::new(self.clone());
        self.begin(&recording, users, sink);
        (recording, receiver)
    }

    /// Begins to write files of what these users say, into a directory with the recording's name below this one.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub async fn record_files(
        &self,
        directory: &Path,
        users: HashSet<u64>,
    ) -> Result<Recording, Error> {
        let recording = Recording::new(self.clone());
        let tally = recording.tally();
        let (writer, sender) = files::begin(directory, recording.id(), tally).await?;
        let recording = recording.with(writer);
        self.begin(&recording, users, Sink::Files(sender));
        Ok(recording)
    }

    /// The call gets another connection: whose the streams are is told anew.
    pub fn renew(&self) {
        let State { users, speech, .. } = &mut *self.state();
        if let Some(speech) = speech {
            speech.end(users);
        }
        users.clear();
    }

    /// Whether songbird has listened since this was asked last. While there is a connection it does, every 20 ms, unless a
    /// packet has ended the task that does.
    #[must_use]
    pub fn have_listened(&self) -> bool {
        std::mem::take(&mut self.state().is_ticking)
    }

    /// The call goes on in another channel.
    pub fn moved(&self, channel_id: u64) {
        if let Some(speech) = &mut self.state().speech {
            speech.moved(channel_id);
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, recording: &Recording, users: HashSet<u64>, sink: Sink) {
        let (id, tally) = (recording.id().to_owned(), recording.tally());
        let speech = Speech::new(id, Instant::now(), users, sink, tally);
        let State {
            users,
            speech: before,
            ..
        } = &mut *self.state();
        if let Some(mut before) = before.replace(speech) {
            before.end(users);
        }
    }

    fn hear(&self, data: &RtpData) {
        let rtp = data.rtp();
        let payload = rtp.payload();
        let end = payload.len().checked_sub(data.payload_end_pad);
        let sound = end.and_then(|end| payload.get(data.payload_offset..end));
        let Some(sound) = sound.filter(|sound| !sound.is_empty()) else {
            return;
        };
        let (ssrc, now) = (rtp.get_ssrc(), Instant::now());
        let State {
            users,
            speech,
            speaking,
            ..
        } = &mut *self.state();
        if let Some(user) = users.get(&ssrc)
            && sound != SILENCE
        {
            speaking.heard(now, *user);
        }
        if let Some(speech) = speech {
            let packet = Packet {
                sequence: rtp.get_sequence().into(),
                timestamp: rtp.get_timestamp().into(),
                data: Bytes::copy_from_slice(sound),
            };
            speech.packet(now, ssrc, users.get(&ssrc).copied(), packet);
        }
    }
}

impl State {
    fn is_of(&mut self, ssrc: u32, user: u64) {
        self.users.retain(|other, it| *it != user || *other == ssrc);
        if self.users.len() < USERS {
            self.users.insert(ssrc, user);
        }
    }
}

#[async_trait]
impl EventHandler for Ears {
    async fn act(&self, context: &EventContext<'_>) -> Option<Event> {
        match context {
            EventContext::RtpPacket(data) => self.hear(data),
            EventContext::VoiceTick(_) => {
                let now = Instant::now();
                let State {
                    users,
                    speech,
                    speaking,
                    is_ticking,
                } = &mut *self.state();
                *is_ticking = true;
                speaking.tick(now);
                if let Some(speech) = speech {
                    speech.tick(now, users);
                }
            }
            EventContext::SpeakingStateUpdate(speaking) => {
                if let Some(user) = speaking.user_id {
                    let mut state = self.state();
                    state.is_of(speaking.ssrc, user.0);
                    if !speaking.speaking.is_empty() {
                        state.speaking.heard(Instant::now(), user.0);
                    }
                }
            }
            EventContext::ClientDisconnect(gone) => {
                let State {
                    users, speaking, ..
                } = &mut *self.state();
                users.retain(|_, user| *user != gone.user_id.0);
                speaking.left(gone.user_id.0);
            }
            _ => {}
        }
        None
    }
}
