//! Listens to one client: decodes its Opus, and measures gaps, pace and pitch.
//!
//! What is lost and what is missing is measured in the numbers and timestamps of the packets, which do not depend on how busy
//! the machine is; pace and drift compare them with the times of arrival.

use std::{collections::VecDeque, time::Duration};

use opus2::{Channels, Decoder};
use tokio::time::Instant;

use crate::{
    error::Error,
    rtp::{Header, SILENCE},
    state::Heard,
    tone::RATE,
};

/// Samples per millisecond.
const PER_MS: f64 = 48.0;
/// Samples of the longest packet that Opus has: 120 ms.
const LONGEST: usize = 5760;
/// Samples that the pitch is measured over.
const WINDOW: usize = RATE as usize;
/// Width of the slots that errors of pace are counted in, in milliseconds, and their number; the last one has all beyond.
const SLOT_MS: f64 = 0.1;
const SLOTS: usize = 1000;
/// How long a packet is, in milliseconds: one that is later than this is behind the next one's time.
const FRAME_MS: f64 = 20.0;
/// Packets whose earliest tells how a stream stands against the clock.
const ANCHOR: usize = 50;

/// The ear for one stream.
pub(crate) struct Ear {
    decoder: Decoder,
    last: Option<Last>,
    /// Which of the 64 packets before the newest came.
    history: u64,
    pcm: VecDeque<f32>,
    pace: Pace,
    heard: Heard,
}

/// The newest packet.
#[derive(Clone, Copy)]
struct Last {
    sequence: u16,
    timestamp: u32,
    samples: u32,
    at: Instant,
    silent: bool,
}

impl Ear {
    pub(crate) fn new() -> Result<Self, Error> {
        let decoder = Decoder::new(RATE, Channels::Stereo)
            .map_err(|error| Error::Invalid(format!("no decoder: {error}")))?;
        Ok(Self {
            decoder,
            last: None,
            history: 0,
            pcm: VecDeque::with_capacity(WINDOW),
            pace: Pace::default(),
            heard: Heard::default(),
        })
    }

    /// Counts a frame that was encrypted end to end and could not be decrypted.
    pub(crate) fn undecrypted(&mut self) {
        self.heard.undecrypted += 1;
    }

    /// Takes a packet's frame of Opus.
    pub(crate) fn on_frame(
        &mut self,
        now: Instant,
        header: &Header,
        frame: &[u8],
        encrypted: bool,
    ) {
        self.heard.packets += 1;
        let silent = frame == SILENCE;
        self.heard.silent += u64::from(silent);
        self.heard.unencrypted += u64::from(!encrypted && !silent);
        let Some(forward) = self.place(header.sequence) else {
            return;
        };
        let Some(samples) = self.decode(frame, silent) else {
            self.heard.undecodable += 1;
            return;
        };
        if let Some(last) = self.last.filter(|_| forward > 0) {
            self.compare(last, now, header.timestamp);
        }
        let late = self.pace.note(now, header.timestamp, silent);
        self.heard.overdue += u64::from(late > FRAME_MS);
        self.last = Some(Last {
            sequence: header.sequence,
            timestamp: header.timestamp,
            samples,
            at: now,
            silent,
        });
    }

    /// What was heard so far, without the pitch.
    pub(crate) fn heard(&self) -> Heard {
        let mut heard = self.heard.clone();
        heard.pacing_p50_ms = self.pace.quantile(0.5);
        heard.pacing_p99_ms = self.pace.quantile(0.99);
        heard.pacing_p999_ms = self.pace.quantile(0.999);
        heard.drift_ms = self.pace.drift();
        heard
    }

    /// The last second, for whoever measures its pitch: that takes longer than the next packet waits.
    pub(crate) fn samples(&self) -> Vec<f32> {
        self.pcm.iter().copied().collect()
    }

    /// How far ahead of the newest the packet is; nothing when it is late or came before.
    fn place(&mut self, sequence: u16) -> Option<u16> {
        let Some(last) = self.last else {
            self.history = 1;
            return Some(0);
        };
        let ahead = sequence.wrapping_sub(last.sequence);
        if (1..0x8000).contains(&ahead) {
            self.heard.lost += u64::from(ahead) - 1;
            self.history = self.history.checked_shl(ahead.into()).unwrap_or(0) | 1;
            return Some(ahead);
        }
        let bit = 1_u64
            .checked_shl(u32::from(0_u16.wrapping_sub(ahead)))
            .unwrap_or(0);
        if bit != 0 && self.history & bit == 0 {
            self.history |= bit;
            self.heard.late += 1;
            self.heard.lost = self.heard.lost.saturating_sub(1);
        } else {
            self.heard.repeated += 1;
        }
        None
    }

    /// How many samples the frame has; what it sounds like is kept.
    fn decode(&mut self, frame: &[u8], silent: bool) -> Option<u32> {
        let mut pcm = [0.0_f32; LONGEST * 2];
        let samples = self.decoder.decode_float(frame, &mut pcm, false).ok()?;
        if !silent {
            self.heard.checksum = checksum(self.heard.checksum, frame);
            let frames = pcm.chunks_exact(2).take(samples);
            self.pcm
                .extend(frames.map(|pair| pair.iter().sum::<f32>() / 2.0));
            let surplus = self.pcm.len().saturating_sub(WINDOW);
            self.pcm.drain(..surplus);
            self.heard.audio_ms += u64::try_from(samples).ok()? / 48;
        }
        u32::try_from(samples).ok()
    }

    /// Compares a packet with the one before it. After silence a stream may rest as long as it likes.
    fn compare(&mut self, last: Last, now: Instant, timestamp: u32) {
        if last.silent {
            return;
        }
        let passed = timestamp.wrapping_sub(last.timestamp);
        let gap = f64::from(passed.saturating_sub(last.samples)) / PER_MS;
        self.heard.longest_gap_ms = self.heard.longest_gap_ms.max(gap);
        if gap > 0.0 {
            // The pitch is that of audio without a break.
            self.heard.gaps += 1;
        }
        let waited = millis(now.saturating_duration_since(last.at));
        self.heard.longest_wait_ms = self.heard.longest_wait_ms.max(waited);
        self.pace.count((waited - f64::from(passed) / PER_MS).abs());
    }
}

/// The checksum of what came before, with a frame added.
fn checksum(before: u32, frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(frame);
    hasher.finalize()
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

/// How regularly packets come.
#[derive(Default)]
struct Pace {
    slots: Vec<u32>,
    counted: u32,
    start: Option<(Instant, u32)>,
    /// How much later than by its timestamp each of the first and of the newest packets came, in milliseconds.
    first: Vec<f64>,
    newest: VecDeque<f64>,
    /// The drift up to the last rest.
    before: Option<f64>,
}

impl Pace {
    fn count(&mut self, error_ms: f64) {
        self.slots.resize(SLOTS, 0);
        // Beyond the last slot all are alike; below zero there is nothing.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float beyond the numbers becomes the largest"
        )]
        let slot = ((error_ms / SLOT_MS) as usize).min(SLOTS - 1);
        if let Some(count) = self.slots.get_mut(slot) {
            *count += 1;
            self.counted += 1;
        }
    }

    /// The error that so large a part of the packets stays below.
    fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = f64::from(self.counted) * part;
        let mut seen = 0;
        let reached = (1_u32..).zip(&self.slots).find(|(_, count)| {
            seen += **count;
            seen > 0 && f64::from(seen) >= wanted
        });
        reached.map(|(slot, _)| f64::from(slot) * SLOT_MS)
    }

    /// Takes a packet; how much later than by its timestamp it came, in milliseconds.
    fn note(&mut self, now: Instant, timestamp: u32, silent: bool) -> f64 {
        if silent {
            // What follows a rest begins anew.
            *self = Self {
                before: self.drift(),
                slots: std::mem::take(&mut self.slots),
                counted: self.counted,
                ..Self::default()
            };
            return 0.0;
        }
        let (at, from) = *self.start.get_or_insert((now, timestamp));
        let due = f64::from(timestamp.wrapping_sub(from)) / PER_MS;
        let late = millis(now.saturating_duration_since(at)) - due;
        if self.first.len() < ANCHOR {
            self.first.push(late);
        }
        self.newest.push_back(late);
        if self.newest.len() > ANCHOR {
            self.newest.pop_front();
        }
        late
    }

    /// How much the newest packets are behind the first: the earliest of each, as only lateness is by chance.
    fn drift(&self) -> Option<f64> {
        if self.first.len() < ANCHOR {
            return self.before;
        }
        let earliest = |all: &mut dyn Iterator<Item = f64>| all.fold(f64::INFINITY, f64::min);
        Some(earliest(&mut self.newest.iter().copied()) - earliest(&mut self.first.iter().copied()))
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests;
