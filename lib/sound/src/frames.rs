//! Packets of Opus as Discord wants them, 20 ms each, without decoding them: longer packets are taken apart into
//! their frames, and shorter ones are put together.

use opus2::{Repacketizer, packet};
use symphonia::core::formats::Packet;

use crate::stream::SAMPLES;

/// What a packet of Opus has at most, in samples.
const MOST: usize = 6 * SAMPLES;
/// More than a packet of 20 ms has.
const BUFFER: usize = 8 * 1276;

/// Bytes that songbird does not pass on.
const TOO_LONG: usize = 1500;

/// Packets that are not yet 20 ms long.
#[derive(Default)]
pub(crate) struct Frames {
    held: Vec<Packet>,
}

impl Frames {
    /// Takes a packet, and gives those that are ready. What cannot be cut, or has nothing of its kind to be put
    /// together with, is given as it is.
    pub(crate) fn cut(&mut self, packet: Packet) -> Vec<Packet> {
        let mut given = Vec::new();
        if self
            .held
            .first()
            .is_some_and(|held| kind(held) != kind(&packet))
        {
            given = self.rest();
        }
        self.held.push(packet);
        let Some(samples) = self.samples() else {
            given.extend(self.rest());
            return given;
        };
        given.extend(match samples % SAMPLES {
            _ if samples == SAMPLES && self.held.len() == 1 => self.rest(),
            0 => self.repack(samples).unwrap_or_else(|| self.rest()),
            _ if samples < MOST => Vec::new(),
            _ => self.rest(),
        });
        given.into_iter().map(swollen).collect()
    }

    /// Gives what is left, at the end.
    pub(crate) fn rest(&mut self) -> Vec<Packet> {
        std::mem::take(&mut self.held)
    }

    /// What is no longer followed by what comes.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }

    /// Samples of what is held; `None` when it is no Opus.
    fn samples(&self) -> Option<usize> {
        let each = self.held.iter().map(|it| samples(it.buf()));
        each.sum()
    }

    fn repack(&mut self, samples: usize) -> Option<Vec<Packet>> {
        let [first, ..] = &self.held[..] else {
            return None;
        };
        let frame = packet::get_samples_per_frame(first.buf(), 48_000).ok()?;
        let count = samples / SAMPLES;
        let durations = self.held.iter().map(Packet::dur);
        let duration = durations.fold(0, u64::saturating_add);
        let step = duration / count as u64;
        let mut repacketizer = Repacketizer::new().ok()?;
        let mut state = repacketizer.begin();
        for packet in &self.held {
            state.cat(packet.buf()).ok()?;
        }
        let per_packet = SAMPLES.checked_div(frame).filter(|count| *count > 0)?;
        let mut buffer = vec![0; BUFFER];
        let packets: Option<Vec<Packet>> = (0..count)
            .map(|number| {
                let range = number * per_packet..(number + 1) * per_packet;
                let length = state.out_range(range.start, range.end, &mut buffer).ok()?;
                let at = first.ts().saturating_add(step * number as u64);
                let content = buffer.get(..length)?;
                Some(Packet::new_from_slice(first.track_id(), at, step, content))
            })
            .collect();
        self.held.clear();
        packets
    }
}

/// Fills up a packet of more than 20 ms, so that songbird decodes it and all that follow: it would pass on three of
/// them as if they were 20 ms long.
fn swollen(mut packet: Packet) -> Packet {
    if samples(packet.buf()).is_some_and(|samples| samples > SAMPLES) {
        let mut content = packet.data.to_vec();
        let length = content.len();
        content.resize(length.max(TOO_LONG), 0);
        if length < TOO_LONG && packet::pad(&mut content, length).is_ok() {
            packet.data = content.into();
        }
    }
    packet
}

/// What packets must have in common to be put together: mode, bandwidth, length of a frame, and channels.
fn kind(packet: &Packet) -> Option<u8> {
    packet.buf().first().map(|head| head & 0xfc)
}

/// Samples of a packet at 48 kHz, if it is one of Opus.
pub(crate) fn samples(packet: &[u8]) -> Option<usize> {
    packet::get_nb_samples(packet, 48_000).ok()
}

#[cfg(test)]
mod tests {
    use opus2::{Application, Channels, Decoder, Encoder};

    use super::*;

    /// A tone in packets of so many samples.
    fn packets(samples: usize, count: usize) -> Vec<Packet> {
        let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
        (0..count)
            .map(|number| {
                let pcm: Vec<i16> = (0..samples)
                    .map(|place| {
                        if (number * samples + place) % 100 < 50 {
                            3000
                        } else {
                            -3000
                        }
                    })
                    .collect();
                let content = encoder.encode_vec(&pcm, 4000).unwrap();
                let at = (number * samples) as u64;
                Packet::new_from_boxed_slice(7, at, samples as u64, content.into())
            })
            .collect()
    }

    fn decoded(packets: &[Packet]) -> Vec<i16> {
        let mut decoder = Decoder::new(48_000, Channels::Mono).unwrap();
        let each = packets.iter().flat_map(|packet| {
            let mut pcm = vec![0; MOST];
            let count = decoder.decode(packet.buf(), &mut pcm, false).unwrap();
            pcm.truncate(count);
            pcm
        });
        each.collect()
    }

    #[test]
    fn every_length_is_cut_to_20_ms_and_decodes_to_the_same() {
        for samples in [120, 240, 480, 960, 1920, 2880] {
            let source = packets(samples, 48_000 / samples);
            let mut frames = Frames::default();
            let cut: Vec<Packet> = source
                .iter()
                .cloned()
                .flat_map(|it| frames.cut(it))
                .collect();
            assert!(frames.rest().is_empty());
            let count = source.len() * samples / SAMPLES;
            assert_eq!(cut.len(), count, "{samples}");
            for (number, packet) in cut.iter().enumerate() {
                assert_eq!(super::samples(packet.buf()), Some(SAMPLES), "{samples}");
                assert_eq!(packet.ts(), (number * SAMPLES) as u64, "{samples}");
                assert_eq!(packet.track_id(), 7);
            }
            assert_eq!(decoded(&cut), decoded(&source), "{samples}");
        }
    }

    #[test]
    fn packets_of_20_ms_are_not_touched() {
        for packet in packets(SAMPLES, 3) {
            let cut = Frames::default().cut(packet.clone());
            assert_eq!(cut.len(), 1);
            assert_eq!(cut[0].buf(), packet.buf());
        }
    }

    #[test]
    fn what_cannot_be_cut_is_left_as_it_is() {
        let mut frames = Frames::default();
        let broken = Packet::new_from_slice(7, 0, 960, &[0xff]);
        assert_eq!(frames.cut(broken.clone()).len(), 1);
        // 10 ms, and then something else than their other half.
        let half = packets(480, 1).remove(0);
        assert!(frames.cut(half).is_empty());
        assert_eq!(frames.cut(broken).len(), 2);
        assert!(frames.rest().is_empty());
    }
}
