//! The lease of a call, and what another node needs to go on with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use prost::Message as _;
use store::{AcquiredCall, HeldCall, Written};
use tokio::time::{self, Instant};
use wire::gateway::v1::{
    Code, Error as Failure, RecordingEndReason, VoiceDisconnectReason, VoiceLoop,
};

use super::{Call, answer};
use crate::{
    failure::failure,
    handshake::{Handshake, Loss},
    saved::{Saved, millis},
    track::Track,
};

/// How long the store is asked whether a call is ours, before that is taken for granted, unless another node has connected it.
const DOUBT: Duration = Duration::from_secs(3);
/// Between two times.
const PAUSE: Duration = Duration::from_millis(200);

/// What is told to the store of a call by whoever does it for all.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The token of its lease; 0: it has none.
    token: AtomicU64,
    /// How far its track is, in milliseconds.
    position: AtomicU64,
    /// Whether another node has connected the call since the store last knew it as ours.
    claimed: AtomicBool,
}

/// A call that another node has left.
#[derive(Debug)]
pub(crate) struct TakenOver {
    /// The token of its lease.
    pub(crate) token: u64,
    /// How it was.
    pub(crate) saved: Box<Saved>,
    /// How far its track was.
    pub(crate) position: Duration,
}

impl Held {
    /// The call as a heartbeat has it, if it has a lease.
    pub(crate) fn call(&self, guild_id: u64) -> Option<HeldCall> {
        let token = self.token.load(Ordering::Relaxed);
        (token > 0).then(|| HeldCall {
            guild_id,
            token,
            position: self.position.load(Ordering::Relaxed),
        })
    }

    /// The track is so far.
    pub(super) fn locate(&self, position: Duration) {
        self.position.store(millis(position), Ordering::Relaxed);
    }

    /// Another node has connected the call: it may be its by now.
    pub(super) fn claim(&self) {
        self.claimed.store(true, Ordering::Relaxed);
    }

    /// The store knows it as ours.
    pub(crate) fn confirm(&self) {
        self.claimed.store(false, Ordering::Relaxed);
    }

    /// What is written of it while the store cannot be asked.
    fn unasked(&self) -> Written {
        match self.claimed.load(Ordering::Relaxed) {
            true => Written::Fenced,
            false => Written::Done,
        }
    }

    fn token(&self) -> u64 {
        self.token.load(Ordering::Relaxed)
    }
}

impl Call {
    /// Becomes this node's. If it cannot be, it is over before it began.
    pub(super) async fn own(&mut self, taken: Option<TakenOver>) {
        let taken = match taken {
            Some(taken) => Some(taken),
            None => match self.acquire().await {
                Ok(taken) => taken,
                Err(refused) => {
                    self.refused = Some(refused);
                    self.is_over = true;
                    return;
                }
            },
        };
        self.shared.bindings.bind(self.key());
        if let Some(taken) = taken {
            self.held.token.store(taken.token, Ordering::Relaxed);
            self.restore(&taken.saved, taken.position);
        }
    }

    /// Takes the lease; what another node has left of the call comes with it.
    async fn acquire(&mut self) -> Result<Option<TakenOver>, Failure> {
        let shared = &self.shared;
        let ttl = shared.settings.lease_ttl;
        let acquired = shared.store.acquire(self.guild_id, &shared.node, ttl);
        match acquired.await {
            Ok(AcquiredCall::Taken { token, saved }) => {
                self.held.token.store(token, Ordering::Relaxed);
                let (saved, position) = saved.unzip();
                let saved = saved.and_then(|saved| Saved::decode(saved).ok());
                Ok(saved.map(|saved| TakenOver {
                    token,
                    saved: Box::new(saved),
                    position: Duration::from_millis(position.unwrap_or_default()),
                }))
            }
            Ok(AcquiredCall::Held { by }) => {
                let text = format!("the node {by} begins a call of this guild just now; try again");
                Err(failure(Code::Unavailable, text))
            }
            Err(error) => {
                let text = format!("nobody can tell whether another node has this call: {error}");
                Err(failure(Code::Unavailable, text))
            }
        }
    }

    /// Whether no other node has taken the call, as the store says. While that is away nobody can, unless it is away for this node
    /// alone: then another one has connected it. A connection to the store that did not outlive a long sleep is there again by the
    /// next attempt.
    pub(super) fn is_ours(&self) -> impl Future<Output = Written> + use<> {
        let (shared, held) = (Arc::clone(&self.shared), Arc::clone(&self.held));
        let (guild_id, token) = (self.guild_id, held.token());
        async move {
            let ttl = shared.settings.lease_ttl;
            let asking = async {
                loop {
                    match shared.store.renew(guild_id, token, &shared.node, ttl).await {
                        Ok(written) => return written,
                        Err(error) => {
                            tracing::debug!(%error, guild = guild_id, "the lease of a call was not renewed");
                        }
                    }
                    time::sleep(PAUSE).await;
                }
            };
            time::timeout(DOUBT, asking)
                .await
                .unwrap_or_else(|_| held.unasked())
        }
    }

    /// Goes on where another node was.
    fn restore(&mut self, saved: &Saved, position: Duration) {
        let Some(call) = &saved.call else {
            self.over(&unreadable(), true);
            return;
        };
        (self.self_mute, self.self_deaf) = (saved.self_mute, saved.self_deaf);
        self.speak = saved.speak;
        (self.paused, self.volume) = (call.paused, call.volume);
        self.company.is_resting = saved.is_resting;
        self.queue
            .set_loop(VoiceLoop::try_from(call.r#loop).unwrap_or_default());
        let tracks = saved.tracks.iter().cloned();
        let tracks = tracks.filter_map(|track| Track::again(track).ok());
        let starts = self.queue.enqueue(tracks.collect(), None);
        if let Ok(place) = starts
            && let Some(track) = place.starts
        {
            self.position = position;
            self.held.locate(position);
            self.open_at(track, position, None);
        }
        let now = Instant::now();
        self.since = now;
        let (handshake, step) = match saved.info() {
            Some(info) => Handshake::take_over(info, self.times(), now),
            None => Handshake::join(call.channel_id, self.times(), now),
        };
        self.handshake = Some(handshake);
        // Else its node has told it.
        self.told_recording_lost(&call.recording_id);
        self.step(step);
    }

    /// Begins to save what has changed, unless that is being done.
    pub(super) fn keep(&mut self) {
        let is_ours = self.held.token() > 0 && self.handshake.is_some();
        if !self.is_changed || self.saving.is_some() || !is_ours || !self.shared.store.is_shared() {
            return;
        }
        self.is_changed = false;
        let (store, state) = (self.shared.store.clone(), self.saved());
        let (guild_id, token) = (self.guild_id, self.held.token());
        self.saving = Some(Box::pin(async move {
            store.save(guild_id, token, &state).await
        }));
    }

    /// It is saved, or not.
    pub(super) fn on_saved(&mut self, saved: Result<Written, store::Error>) {
        match saved {
            Ok(Written::Done) => {}
            Ok(Written::Fenced) => self.lose(),
            Err(error) => {
                // The next change tries again.
                self.is_changed = true;
                tracing::debug!(%error, guild = self.guild_id, "a call was not saved");
            }
        }
    }

    fn saved(&self) -> Vec<u8> {
        let info = self.handshake.as_ref().and_then(Handshake::info);
        let mut saved = Saved::new(self.shown(), self.queue.tracks(), info);
        (saved.self_mute, saved.self_deaf) = (self.self_mute, self.self_deaf);
        saved.is_resting = self.company.is_resting;
        saved.speak = self.speak;
        saved.encode_to_vec()
    }

    /// The call is another node's by now: it has the channel.
    pub(super) fn lose(&mut self) {
        let why = "another node holds the call: this one was not heard of in time";
        self.hand_on(VoiceDisconnectReason::LeaseLost, why);
        self.held.token.store(0, Ordering::Relaxed);
    }

    /// The node is stopped: another one goes on with the call.
    pub(super) async fn hand_over(&mut self) {
        self.locate().await;
        self.end_recording(RecordingEndReason::Node, None);
        self.handed = Some(self.saved());
        let why = "the node is being stopped, and another one goes on with the call";
        self.hand_on(VoiceDisconnectReason::Shutdown, why);
    }

    /// Sends nothing more, and leaves the channel to whoever goes on.
    fn hand_on(&mut self, reason: VoiceDisconnectReason, why: &str) {
        if let Some((reply, _)) = self.joining.take() {
            let text = "another node takes the call over; try again";
            answer(reply, Err(failure(Code::Unavailable, text)));
        }
        let loss = Loss {
            reason,
            close_code: None,
            detail: why.to_owned(),
            ask: Vec::new(),
        };
        self.told_lost(&loss, true);
        self.end_recording(RecordingEndReason::Node, None);
        (self.playing, self.opening) = (None, None);
        (self.asking, self.connecting, self.speaking) = (None, None, None);
        self.player.leave();
        self.is_over = true;
    }

    /// Gives the lease back.
    pub(super) async fn release(&mut self) {
        self.shared.bindings.unbind(&self.key());
        let token = self.held.token.swap(0, Ordering::Relaxed);
        if token == 0 {
            return;
        }
        let position = millis(self.position);
        let handed = self.handed.take();
        let state = handed.as_deref().map(|state| (state, position));
        let released = self.shared.store.release(self.guild_id, token, state);
        if let Err(error) = released.await {
            tracing::warn!(%error, guild = self.guild_id, "the lease of a call was not given back");
        }
    }

    /// By what requests for this call reach this node.
    fn key(&self) -> String {
        crate::service::guild_key("*", self.shared.application_id, self.guild_id)
    }
}

/// What a call shares with whoever tells the store of all.
pub(super) fn held() -> Arc<Held> {
    Arc::default()
}

fn unreadable() -> Loss {
    Loss {
        reason: VoiceDisconnectReason::Unspecified,
        close_code: None,
        detail: "what was saved of the call cannot be read".to_owned(),
        ask: Vec::new(),
    }
}
