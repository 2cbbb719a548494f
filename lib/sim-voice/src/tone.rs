//! Tones: made as Opus frames, and measured in samples.

use std::f64::consts::TAU;

use opus2::{Application, Channels, Encoder};

use crate::{error::Error, rtp::FRAME};

/// Samples a second.
pub(crate) const RATE: u32 = 48_000;
/// Frames that one second has: a tone of whole hertz begins anew after it.
const LOOP: u32 = RATE / FRAME;
/// How loud a tone is, of 1.
const AMPLITUDE: f64 = 0.4;
/// Room for one frame of Opus.
const LARGEST: usize = 1275;

/// One second of a tone in stereo, encoded; to be sent in a loop.
///
/// # Errors
///
/// When the encoder fails.
pub(crate) fn encode(frequency_hz: u32) -> Result<Vec<Vec<u8>>, Error> {
    let failed =
        |error: opus2::Error| Error::Invalid(format!("no tone of {frequency_hz} Hz: {error}"));
    let mut encoder = Encoder::new(RATE, Channels::Stereo, Application::Audio).map_err(failed)?;
    let mut encode = |frame: u32| {
        let first = frame * FRAME;
        let samples: Vec<f32> = (first..first + FRAME)
            .flat_map(|place| [sample(frequency_hz, place); 2])
            .collect();
        encoder.encode_vec_float(&samples, LARGEST).map_err(failed)
    };
    // A second before the loop, so that its beginning sounds like its end.
    for frame in 0..LOOP {
        encode(frame)?;
    }
    (0..LOOP).map(encode).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "samples are small")]
fn sample(frequency_hz: u32, place: u32) -> f32 {
    let turns = f64::from(frequency_hz) * f64::from(place) / f64::from(RATE);
    ((turns.fract() * TAU).sin() * AMPLITUDE) as f32
}

/// What a stretch of samples sounds like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sound {
    /// Its pitch, by its crossings of zero.
    pub(crate) frequency_hz: f64,
    /// Which part of its power lies at that frequency, 0 to 1: 1 for a clean tone, little for noise.
    pub(crate) purity: f64,
}

/// Measures a stretch of samples; nothing when it is too short or too quiet to have a pitch.
pub(crate) fn measure(samples: &[f32]) -> Option<Sound> {
    let power: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
    let count = u32::try_from(samples.len()).ok()?;
    let mean = power / f64::from(count);
    if count < RATE / 10 || mean < 1e-6 {
        return None;
    }
    let mut crossings = (0_u32..)
        .zip(samples.windows(2))
        .filter_map(|(place, pair)| {
            let [before, after] = *pair else { return None };
            let (before, after) = (f64::from(before), f64::from(after));
            // Between the two samples, where a line through them is zero.
            (before < 0.0 && after >= 0.0).then(|| f64::from(place) - before / (after - before))
        });
    let first = crossings.next()?;
    let (turns, last) = crossings.fold((0_u32, first), |(turns, _), place| (turns + 1, place));
    if turns == 0 {
        return None;
    }
    let frequency_hz = f64::from(turns) * f64::from(RATE) / (last - first);
    let purity = 2.0 * goertzel(samples, frequency_hz) / (f64::from(count).powi(2) * mean);
    Some(Sound {
        frequency_hz,
        purity: purity.min(1.0),
    })
}

/// The power of one frequency in the samples, by Goertzel's recurrence.
fn goertzel(samples: &[f32], frequency_hz: f64) -> f64 {
    let step = 2.0 * (TAU * frequency_hz / f64::from(RATE)).cos();
    let (last, before) = samples.iter().fold((0.0, 0.0), |(last, before), it| {
        (f64::from(*it) + step * last - before, last)
    });
    last * last + before * before - step * last * before
}

#[cfg(test)]
mod tests {
    use opus2::{Channels, Decoder};

    use super::{RATE, encode, measure, sample};

    #[test]
    fn an_encoded_tone_sounds_the_same_however_often_it_is_played() {
        let frames = encode(440).unwrap();
        assert_eq!(frames.len(), 50);
        let mut decoder = Decoder::new(RATE, Channels::Stereo).unwrap();
        let mut heard = Vec::new();
        for frame in frames.iter().cycle().take(150) {
            let mut pcm = [0.0; 1920];
            assert_eq!(decoder.decode_float(frame, &mut pcm, false).unwrap(), 960);
            heard.extend(pcm.chunks(2).map(|pair| pair[0]));
        }
        let sound = measure(&heard[48_000..]).unwrap();
        assert!((sound.frequency_hz - 440.0).abs() < 0.5, "{sound:?}");
        assert!(sound.purity > 0.98, "{sound:?}");
    }

    #[test]
    fn noise_is_no_tone_and_silence_is_nothing() {
        let noise: Vec<f32> = (0..RATE).map(|_| fastrand::f32() - 0.5).collect();
        assert!(measure(&noise).unwrap().purity < 0.1);
        assert_eq!(measure(&vec![0.0; 48_000]), None);
        assert_eq!(measure(&[0.5; 100]), None);
        let tone: Vec<f32> = (0..RATE).map(|place| sample(1000, place)).collect();
        let sound = measure(&tone).unwrap();
        assert!((sound.frequency_hz - 1000.0).abs() < 0.01 && sound.purity > 0.999);
    }
}
