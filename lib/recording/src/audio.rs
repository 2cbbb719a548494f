//! Frames as messages.

use opus2::{Channels, Decoder};
use wire::gateway::v1::{VoiceAudioFrame, VoiceStreamFormat};

use crate::order::{Frame, SAMPLES, SILENCE};

/// Samples of both channels of the longest packet: 120 ms.
const LONGEST: usize = 6 * 2 * SAMPLES as usize;

/// The format of frames in messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Packets of Opus, as they came. A few clients send packets longer than 20 ms.
    Opus,
    /// 16 bit little-endian samples of two channels, interleaved, 20 ms a frame.
    Pcm,
}

impl From<Format> for VoiceStreamFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Opus => Self::Opus,
            Format::Pcm => Self::Pcm,
        }
    }
}

/// Makes messages' frames of one speaker's.
#[derive(Debug)]
pub(crate) struct Audio {
    /// For PCM.
    decoder: Option<Decoder>,
}

impl Audio {
    pub(crate) fn new(format: Format) -> Self {
        let decoder = match format {
            Format::Opus => None,
            Format::Pcm => Decoder::new(48_000, Channels::Stereo).ok(),
        };
        Self { decoder }
    }

    /// The frames of a packet; none when it is no Opus.
    pub(crate) fn frames(&mut self, frame: &Frame) -> Vec<VoiceAudioFrame> {
        let made = |timestamp, data| VoiceAudioFrame {
            sequence: frame.sequence.into(),
            timestamp,
            data,
        };
        if frame.data == SILENCE[..] {
            return vec![made(frame.timestamp, Vec::new())];
        }
        let Some(decoder) = &mut self.decoder else {
            return vec![made(frame.timestamp, frame.data.to_vec())];
        };
        let mut samples = vec![0_i16; LONGEST];
        let Ok(count) = decoder.decode(&frame.data, &mut samples, false) else {
            return Vec::new();
        };
        samples.truncate(count * 2);
        let timestamps = (0..).map(|number| frame.timestamp.wrapping_add(number * SAMPLES));
        let pieces = samples.chunks(2 * SAMPLES as usize).zip(timestamps);
        pieces
            .map(|(piece, timestamp)| {
                let mut data: Vec<u8> = piece.iter().flat_map(|it| it.to_le_bytes()).collect();
                data.resize(4 * SAMPLES as usize, 0);
                made(timestamp, data)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use opus2::{Application, Encoder};

    use super::*;

    fn frame(samples: usize) -> Frame {
        let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
        let data = encoder.encode_vec(&vec![900; samples], 4000).unwrap();
        Frame {
            sequence: 7,
            timestamp: u32::MAX - 959,
            data: data.into(),
            place: 0,
        }
    }

    #[test]
    fn packets_are_decoded_to_frames_of_20_ms() {
        for (samples, count) in [(960, 1), (2880, 3), (480, 1)] {
            let frames = Audio::new(Format::Pcm).frames(&frame(samples));
            assert_eq!(frames.len(), count);
            let mut timestamp = u32::MAX - 959;
            for frame in frames {
                assert_eq!((frame.sequence, frame.timestamp), (7, timestamp));
                assert_eq!(frame.data.len(), 3840);
                timestamp = timestamp.wrapping_add(960);
            }
        }
    }

    #[test]
    fn opus_stays_as_it_is_and_silence_is_empty() {
        let source = frame(2880);
        let frames = Audio::new(Format::Opus).frames(&source);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].data, source.data);
        let silence = Frame {
            data: Bytes::from_static(&SILENCE),
            ..source
        };
        for format in [Format::Opus, Format::Pcm] {
            let frames = Audio::new(format).frames(&silence);
            assert_eq!(frames[0].data, [0; 0]);
        }
    }

    #[test]
    fn what_is_no_opus_is_no_sound() {
        let data = Bytes::from_static(&[0xff]);
        let broken = Frame { data, ..frame(960) };
        assert_eq!(Audio::new(Format::Pcm).frames(&broken), []);
    }
}
