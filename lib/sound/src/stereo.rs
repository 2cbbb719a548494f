//! Samples of any rate and any number of channels as what a call has: 48 kHz, two channels.
//!
//! songbird can do it too, but panics for some rates and for more than two channels, and with it stop all calls
//! that its thread serves. Rates are changed by interpolation with windowed sincs, which can do any ratio.

use std::sync::{Mutex, PoisonError};

use rubato::{
    Resampler as _, SincFixedIn, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};
use symphonia::core::{
    audio::{AudioBuffer, AudioBufferRef, Channels, Layout, SampleBuffer, Signal as _, SignalSpec},
    errors::{Error, Result},
};

/// The rate of a call.
pub(crate) const RATE: u32 = 48_000;
/// Frames that are resampled at a time.
const CHUNK: usize = 256;
/// Rates beyond are no sound.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=768_000;

const LEFT: Channels = Channels::FRONT_LEFT
    .union(Channels::REAR_LEFT)
    .union(Channels::FRONT_LEFT_CENTRE)
    .union(Channels::SIDE_LEFT);
const RIGHT: Channels = Channels::FRONT_RIGHT
    .union(Channels::REAR_RIGHT)
    .union(Channels::FRONT_RIGHT_CENTRE)
    .union(Channels::SIDE_RIGHT);
const LOW: Channels = Channels::LFE1.union(Channels::LFE2);

/// Makes stereo of what a decoder gives.
pub(crate) struct Stereo {
    resampler: Option<Resampler>,
    out: AudioBuffer<f32>,
}

struct Resampler {
    from: u32,
    /// Never waited for: decoders have to be shareable between threads, which this alone is not.
    sinc: Mutex<SincFixedIn<f32>>,
    /// What is too little for a chunk.
    waiting: [Vec<f32>; 2],
    made: Vec<Vec<f32>>,
}

impl Stereo {
    pub(crate) fn new() -> Self {
        let (resampler, out) = (None, buffer(0));
        Self { resampler, out }
    }

    /// What was made last.
    pub(crate) fn last(&self) -> AudioBufferRef<'_> {
        use symphonia::core::audio::AsAudioBufferRef as _;
        self.out.as_audio_buffer_ref()
    }

    /// Makes stereo of a packet's samples. It may be less than there was, or nothing: the rest comes with the next.
    pub(crate) fn make(&mut self, source: AudioBufferRef<'_>) -> Result<()> {
        self.out.clear();
        let spec = *source.spec();
        if !RATES.contains(&spec.rate) || spec.channels.is_empty() {
            return Err(Error::Unsupported(
                "a sample rate or channels that are none",
            ));
        }
        let mut planes = mix(source, spec);
        if spec.rate == RATE {
            self.resampler = None;
        } else {
            planes = self.resample(spec.rate, planes)?;
        }
        self.put(&planes);
        Ok(())
    }

    /// Makes silence.
    pub(crate) fn silence(&mut self, frames: usize) {
        self.out.clear();
        let silence = vec![0.0; frames];
        self.put(&[silence.clone(), silence]);
    }

    /// What comes next does not follow what came.
    pub(crate) fn reset(&mut self) {
        self.resampler = None;
        self.out.clear();
    }

    fn resample(&mut self, from: u32, planes: [Vec<f32>; 2]) -> Result<[Vec<f32>; 2]> {
        let kept = self.resampler.take().filter(|it| it.from == from);
        let resampler = match kept {
            Some(resampler) => self.resampler.insert(resampler),
            None => self.resampler.insert(Resampler::new(from)?),
        };
        resampler.make(planes)
    }

    fn put(&mut self, planes: &[Vec<f32>; 2]) {
        let frames = planes[0].len();
        if self.out.capacity() < frames {
            self.out = buffer(frames);
        }
        self.out.render_reserved(Some(frames));
        for (channel, plane) in planes.iter().enumerate() {
            self.out.chan_mut(channel).copy_from_slice(plane);
        }
    }
}

impl Resampler {
    fn new(from: u32) -> Result<Self> {
        let parameters = SincInterpolationParameters {
            sinc_len: 64,
            f_cutoff: 0.92,
            oversampling_factor: 128,
            interpolation: SincInterpolationType::Linear,
            window: WindowFunction::BlackmanHarris2,
        };
        let ratio = f64::from(RATE) / f64::from(from);
        let sinc = SincFixedIn::new(ratio, 1.0, parameters, CHUNK, 2)
            .map_err(|_| Error::Unsupported("a sample rate that is none"))?;
        let made = sinc.output_buffer_allocate(true);
        let waiting = [Vec::new(), Vec::new()];
        Ok(Self {
            from,
            sinc: Mutex::new(sinc),
            waiting,
            made,
        })
    }

    fn make(&mut self, planes: [Vec<f32>; 2]) -> Result<[Vec<f32>; 2]> {
        for (waiting, plane) in self.waiting.iter_mut().zip(planes) {
            waiting.extend(plane);
        }
        let mut out = [Vec::new(), Vec::new()];
        let whole = self.waiting[0].len() / CHUNK * CHUNK;
        for start in (0..whole).step_by(CHUNK) {
            let chunk = [0, 1].map(|channel| &self.waiting[channel][start..start + CHUNK]);
            let sinc = self.sinc.get_mut().unwrap_or_else(PoisonError::into_inner);
            let (_, count) = sinc
                .process_into_buffer(&chunk, &mut self.made, None)
                .map_err(|_| Error::Unsupported("samples that cannot be resampled"))?;
            for (out, made) in out.iter_mut().zip(&self.made) {
                out.extend_from_slice(&made[..count]);
            }
        }
        for waiting in &mut self.waiting {
            waiting.drain(..whole);
        }
        Ok(out)
    }
}

fn buffer(frames: usize) -> AudioBuffer<f32> {
    AudioBuffer::new(
        frames as u64,
        SignalSpec::new_with_layout(RATE, Layout::Stereo),
    )
}

/// Two channels of any number: what is left goes left, what is right goes right, what is neither goes to both, and
/// what is for a subwoofer nowhere.
fn mix(source: AudioBufferRef<'_>, spec: SignalSpec) -> [Vec<f32>; 2] {
    let frames = source.frames();
    let channels: Vec<Channels> = spec.channels.iter().collect();
    let mut samples = SampleBuffer::<f32>::new(source.capacity() as u64, spec);
    samples.copy_interleaved_ref(source);
    [(LEFT, RIGHT), (RIGHT, LEFT)].map(|(wanted, other)| {
        // A single channel is called left, and is for both.
        let unwanted = if channels.len() == 1 {
            LOW
        } else {
            LOW | other
        };
        let weights: Vec<f32> = channels
            .iter()
            .map(|channel| match channel {
                it if unwanted.contains(*it) => 0.0,
                it if wanted.contains(*it) || channels.len() == 1 => 1.0,
                _ => std::f32::consts::FRAC_1_SQRT_2,
            })
            .collect();
        let whole: f32 = weights.iter().sum::<f32>().max(1.0);
        let mixed = samples.samples().chunks_exact(channels.len());
        let plane = mixed.map(|frame| {
            let sum: f32 = frame
                .iter()
                .zip(&weights)
                .map(|(it, weight)| it * weight)
                .sum();
            sum / whole
        });
        plane.take(frames).collect()
    })
}

#[cfg(test)]
mod tests;
