//! Who else is in the channel of a call, and who of them speaks.

use std::collections::{BTreeMap, BTreeSet};

use wire::gateway::v1::{ClientConnect, ClientDisconnect, Speaking, event::Data};

use super::Call;
use crate::driver::Manner;

/// Of how many members of a channel a call knows.
const MOST: usize = 10_000;

/// The others.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Of whom it was told that they are there.
    there: BTreeSet<u64>,
    /// How those send sound who have done so.
    voices: BTreeMap<u64, Voice>,
}

/// Somebody who has sent sound.
#[derive(Clone, Copy, Debug, Default)]
struct Voice {
    manner: Manner,
    speaks: bool,
}

impl Call {
    /// The call is in its channel, another one if it has moved: those who are there are told.
    pub(super) fn meet(&mut self, moved: bool) {
        if moved {
            self.members = Members::default();
        }
        let there = self.shared.present.users(self.guild_id, self.channel_id());
        for user_id in there {
            self.met(user_id);
        }
    }

    /// Somebody is in a channel, or in none any more.
    pub(super) fn on_member(&mut self, user_id: u64, channel_id: Option<u64>) {
        if channel_id != Some(self.channel_id()) {
            self.on_left(user_id);
        } else if self.is_connected() {
            self.met(user_id);
        }
        self.attend();
    }

    /// It is known who is in which channel.
    pub(super) fn on_members(&mut self) {
        if self.is_connected() {
            self.meet(false);
        }
        self.attend();
    }

    /// Somebody is heard.
    fn heard(&mut self, user_id: u64) {
        let (guild_id, channel_id) = (self.guild_id, self.channel_id());
        self.shared.present.meet(guild_id, user_id, channel_id);
        self.on_member(user_id, Some(channel_id));
    }

    /// Somebody is there; it is told once.
    fn met(&mut self, user_id: u64) {
        let there = &mut self.members.there;
        if there.len() < MOST && there.insert(user_id) {
            let event = ClientConnect {
                guild_id: self.guild_id,
                channel_id: self.channel_id(),
                user_id,
            };
            self.tell_of(Some(user_id), Data::ClientConnect(Box::new(event)));
        }
    }

    /// Somebody has left. Discord tells it in two ways.
    pub(super) fn on_left(&mut self, user_id: u64) {
        self.members.voices.remove(&user_id);
        if self.members.there.remove(&user_id) {
            let event = ClientDisconnect {
                guild_id: self.guild_id,
                channel_id: self.channel_id(),
                user_id,
            };
            self.tell_of(Some(user_id), Data::ClientDisconnect(Box::new(event)));
        }
    }

    /// Discord says how somebody sends sound.
    pub(super) fn on_manner(&mut self, user_id: u64, manner: Manner) {
        self.heard(user_id);
        let voice = self.voice(user_id);
        let is_other = voice.speaks && voice.manner != manner;
        self.voices_put(user_id, Voice { manner, ..voice });
        if is_other {
            self.told_speaking(user_id, manner);
        }
    }

    /// Somebody speaks, or does so no more.
    pub(super) fn on_speaks(&mut self, user_id: u64, speaks: bool) {
        let voice = self.voice(user_id);
        if speaks == voice.speaks {
            // It was in the channel where the call was before.
            return;
        }
        self.voices_put(user_id, Voice { speaks, ..voice });
        if speaks {
            self.heard(user_id);
            self.told_speaking(user_id, voice.manner);
        } else {
            self.told_speaking(user_id, Manner::SILENT);
        }
    }

    fn voice(&self, user_id: u64) -> Voice {
        let voices = &self.members.voices;
        voices.get(&user_id).copied().unwrap_or_default()
    }

    fn voices_put(&mut self, user_id: u64, voice: Voice) {
        let voices = &mut self.members.voices;
        if voices.len() < MOST || voices.contains_key(&user_id) {
            voices.insert(user_id, voice);
        }
    }

    fn told_speaking(&self, user_id: u64, manner: Manner) {
        let event = Speaking {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            user_id,
            microphone: manner.microphone,
            soundshare: manner.soundshare,
            priority: manner.priority,
        };
        self.tell_of(Some(user_id), Data::Speaking(Box::new(event)));
    }
}
