//! A channel with somebody in it: simulated users and what they say, clients, and their group of DAVE.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    dave::Delivery,
    rtp::{FRAME, SILENCE},
    state::CallState,
};

/// Packets of silence before a rest.
const SILENCES: u8 = 5;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) users: BTreeMap<u64, Speaker>,
    /// SSRCs of clients by their users.
    pub(crate) clients: BTreeMap<u64, u32>,
    /// Absent: the call goes without DAVE.
    pub(crate) dave: Option<Delivery>,
}

/// A simulated user.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) ssrc: u32,
    sequence: u16,
    timestamp: u32,
    pub(crate) speech: Option<Speech>,
}

/// What a simulated user says.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    /// A loop of frames.
    frames: Arc<[Vec<u8>]>,
    place: usize,
    /// Frames to go; absent: no end.
    left: Option<u64>,
    silences: u8,
}

/// A packet of a simulated user, not encrypted yet.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) frame: Vec<u8>,
    /// Whether nothing comes after it.
    pub(crate) is_last: bool,
}

impl Call {
    pub(crate) fn new(dave: Option<Delivery>) -> Self {
        Self {
            users: BTreeMap::new(),
            clients: BTreeMap::new(),
            dave,
        }
    }

    /// Everybody in it but this one.
    pub(crate) fn others(&self, user: u64) -> Vec<u64> {
        let all = self.users.keys().chain(self.clients.keys());
        all.copied().filter(|other| *other != user).collect()
    }

    pub(crate) fn dave_version(&self) -> u16 {
        self.dave.as_ref().map_or(0, Delivery::version)
    }

    pub(crate) fn state(&self, channel_id: u64) -> CallState {
        let dave = self.dave.as_ref();
        let speaking = self.users.iter().filter(|(_, user)| user.speech.is_some());
        CallState {
            channel_id,
            users: self.users.keys().copied().collect(),
            speaking: speaking.map(|(user, _)| *user).collect(),
            dave_version: self.dave_version(),
            epoch: dave.and_then(Delivery::epoch),
            members: dave.map(Delivery::members).unwrap_or_default(),
            transitions: dave.map_or(0, Delivery::transitions),
        }
    }
}

impl Speaker {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            sequence: fastrand::u16(..),
            timestamp: fastrand::u32(..),
            speech: None,
        }
    }

    /// The next packet of what he says.
    pub(crate) fn say(&mut self) -> Option<Said> {
        let speech = self.speech.as_mut()?;
        let (frame, is_last) = speech.next();
        let said = Said {
            sequence: self.sequence,
            timestamp: self.timestamp,
            frame,
            is_last,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME);
        if is_last {
            self.speech = None;
        }
        Some(said)
    }
}

impl Speech {
    pub(crate) fn new(frames: Arc<[Vec<u8>]>, left: Option<u64>) -> Self {
        Self {
            frames,
            place: 0,
            left,
            silences: SILENCES,
        }
    }

    /// Ends it: silence comes next.
    pub(crate) fn end(&mut self) {
        self.left = Some(0);
    }

    fn next(&mut self) -> (Vec<u8>, bool) {
        if self.left == Some(0) {
            self.silences = self.silences.saturating_sub(1);
            return (SILENCE.to_vec(), self.silences == 0);
        }
        self.left = self.left.map(|left| left - 1);
        let frame = self.frames.get(self.place).cloned().unwrap_or_default();
        self.place = (self.place + 1) % self.frames.len().max(1);
        (frame, false)
    }
}

#[cfg(test)]
mod tests {
    use super::{SILENCE, Speaker, Speech};

    #[test]
    fn a_speech_ends_in_silence() {
        let mut speaker = Speaker::new(1);
        assert!(speaker.say().is_none());
        speaker.speech = Some(Speech::new(vec![vec![1], vec![2]].into(), Some(3)));
        let said: Vec<_> = std::iter::from_fn(|| speaker.say()).collect();
        let frames: Vec<&[u8]> = said.iter().map(|said| said.frame.as_slice()).collect();
        assert_eq!(frames[..3], [&[1][..], &[2], &[1]]);
        assert_eq!(frames[3..], [&SILENCE[..]; 5]);
        assert!(said[7].is_last && !said[6].is_last);
        assert_eq!(said[7].timestamp.wrapping_sub(said[0].timestamp), 7 * 960);
        assert_eq!(said[7].sequence.wrapping_sub(said[0].sequence), 7);
    }
}
