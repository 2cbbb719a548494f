//! What a call does when nobody is in its channel any more.

use tokio::time::Instant;
use wire::gateway::v1::VoiceDisconnectReason;

use super::Call;
use crate::{config::Empty, handshake::Loss};

/// Whether somebody listens.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Since when nobody does.
    alone: Option<Instant>,
    /// Whether the track is held for that, and not by a worker.
    pub(super) is_resting: bool,
}

impl Call {
    /// Looks whether somebody listens, and does what the operator wants when nobody does any more, or somebody does again.
    pub(super) fn attend(&mut self) {
        let policy = self.shared.settings.empty;
        if policy == Empty::Stay || !self.is_connected() {
            return;
        }
        let is_empty = self
            .shared
            .present
            .is_empty(self.guild_id, self.channel_id());
        if !is_empty {
            self.company.alone = None;
            self.go_on();
        } else if self.company.alone.is_none() {
            self.company.alone = Some(Instant::now());
            self.rest();
        }
    }

    /// When the call ends, if nobody comes.
    pub(super) fn lonely_until(&self) -> Option<Instant> {
        let settings = &self.shared.settings;
        let since = self
            .company
            .alone
            .filter(|_| settings.empty == Empty::Leave)?;
        since.checked_add(settings.empty_timeout)
    }

    /// Nobody has come.
    pub(super) async fn leave_empty(&mut self) {
        self.locate().await;
        let loss = Loss {
            reason: VoiceDisconnectReason::Empty,
            close_code: None,
            detail: "nobody else is in the channel (VOICE_EMPTY)".to_owned(),
            ask: Vec::new(),
        };
        self.over(&loss, true);
    }

    /// Holds what plays.
    fn rest(&mut self) {
        if self.paused || self.queue.playing().is_none() {
            return;
        }
        (self.paused, self.company.is_resting, self.is_changed) = (true, true, true);
        if let Some(playing) = &self.playing {
            playing.pause();
        }
    }

    /// Goes on with what was held, unless a worker has decided otherwise meanwhile.
    fn go_on(&mut self) {
        if !std::mem::take(&mut self.company.is_resting) || !self.paused {
            return;
        }
        (self.paused, self.is_changed) = (false, true);
        if let Some(playing) = &self.playing {
            playing.resume();
        }
    }
}
