//! Sounds that are known when they are heard.

use std::f32::consts::TAU;

use wire::gateway::v1::{VoiceTrack, voice_track};

/// A track that is a tone.
#[must_use]
pub fn tone(id: &str, hertz: f32, milliseconds: u32) -> VoiceTrack {
    VoiceTrack {
        id: id.to_owned(),
        source: Some(voice_track::Source::Data(wave(hertz, milliseconds))),
        ..VoiceTrack::default()
    }
}

/// A WAV file with a tone: 48 kHz, 16 bit, two channels.
fn wave(hertz: f32, milliseconds: u32) -> Vec<u8> {
    let frames = milliseconds * 48;
    let bytes = frames * 4;
    let mut file = Vec::with_capacity(bytes as usize + 44);
    file.extend(b"RIFF");
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 2, 0]);
    file.extend(48_000_u32.to_le_bytes());
    file.extend(192_000_u32.to_le_bytes());
    file.extend([4, 0, 16, 0]);
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for frame in 0..frames {
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        let turns = frame as f32 * hertz / 48_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "it is below one")]
        let sample = ((turns.fract() * TAU).sin() * 0.4 * 32_767.0) as i16;
        file.extend([sample.to_le_bytes(); 2].concat());
    }
    file
}
