//! A decoder that goes on after what it cannot decode, as a player does: a broken packet is a moment of silence.

use symphonia::core::{
    audio::AudioBufferRef,
    codecs::{
        CODEC_TYPE_NULL, CodecDescriptor, CodecParameters, Decoder, DecoderOptions, FinalizeResult,
    },
    errors::{Error, Result, unsupported_error},
    formats::Packet,
};

use crate::{Error as Failure, Health, guard::guarded, stereo::Stereo, stream::SAMPLES};

/// How many packets in a row may be broken.
const PATIENCE: u32 = 100;

/// Decodes to 48 kHz and stereo.
pub(crate) struct Careful {
    inner: Box<dyn Decoder>,
    params: CodecParameters,
    stereo: Stereo,
    /// Broken packets since one was whole.
    broken: u32,
    health: Health,
}

impl Careful {
    /// Wraps a decoder. songbird sends packets of Opus on as they are, unless it does not know that they are Opus.
    pub(crate) fn new(
        inner: Box<dyn Decoder>,
        as_is: bool,
        params: CodecParameters,
        health: Health,
    ) -> Self {
        let mut params = params;
        if !as_is {
            params.codec = CODEC_TYPE_NULL;
        }
        Self {
            inner,
            params,
            stereo: Stereo::new(),
            broken: 0,
            health,
        }
    }

    /// Whether there is sound in a packet.
    pub(crate) fn can(&mut self, packet: &Packet) -> bool {
        self.decode_whole(packet).is_ok()
    }

    fn decode_whole(&mut self, packet: &Packet) -> Result<()> {
        guarded(|| {
            let samples = self.inner.decode(packet)?;
            self.stereo.make(samples)
        })
    }

    /// Whether to go on after this.
    fn endure(&mut self, error: Error) -> Result<()> {
        self.broken += 1;
        let passes = matches!(
            error,
            Error::DecodeError(_) | Error::IoError(_) | Error::ResetRequired
        );
        if passes && self.broken < PATIENCE {
            self.stereo.silence(SAMPLES);
            return Ok(());
        }
        self.stereo.reset();
        self.health.fail(Failure::Broken(error.to_string()));
        Err(error)
    }
}

impl Decoder for Careful {
    fn try_new(_: &CodecParameters, _: &DecoderOptions) -> Result<Self> {
        unsupported_error("it is made of another decoder")
    }

    fn supported_codecs() -> &'static [CodecDescriptor] {
        &[]
    }

    fn reset(&mut self) {
        self.broken = 0;
        self.stereo.reset();
        // A decoder that panics here is found out by the next packet.
        guarded(|| {
            self.inner.reset();
            Ok(())
        })
        .ok();
    }

    fn codec_params(&self) -> &CodecParameters {
        &self.params
    }

    /// A packet without content stands for sound that has not come in time.
    fn decode(&mut self, packet: &Packet) -> Result<AudioBufferRef<'_>> {
        if packet.buf().is_empty() {
            self.stereo.silence(SAMPLES);
            return Ok(self.stereo.last());
        }
        match self.decode_whole(packet) {
            Ok(()) => self.broken = 0,
            Err(error) => self.endure(error)?,
        }
        Ok(self.stereo.last())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> AudioBufferRef<'_> {
        self.stereo.last()
    }
}
