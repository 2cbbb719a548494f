//! A stream as songbird plays it.

use std::io;

use songbird::input::{Input, LiveInput, Parsed, codecs::get_codec_registry};
use symphonia::core::{
    audio::Channels,
    codecs::{CODEC_TYPE_OPUS, CODEC_TYPE_PCM_S16LE, CodecParameters, DecoderOptions},
    errors::{Error as Reason, Result as Read, unsupported_error},
    formats::{Cue, FormatOptions, FormatReader, Packet, SeekMode, SeekTo, SeekedTo, Track},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::{Metadata, MetadataLog},
    units::TimeBase,
};

use crate::{
    Error, Format, Health, Opened, Stream,
    ahead::empty,
    media::probe,
    stereo::RATE,
    stream::{FRAME, Next, SAMPLES},
};

/// The beginning of a file without tags.
const UNTAGGED: [u8; 32] = *b"SbirdRaw\x80\xbb\0\0\x02\0\0\0................";
/// Silence of 20 ms.
const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];
const SILENT_PCM: &[u8] = &[0; SAMPLES * 4];

/// A demuxer of frames that come.
struct Feed {
    /// Closes the stream when it is dropped.
    stream: Stream,
    track: Track,
    silence: &'static [u8],
    /// Samples so far.
    here: u64,
    health: Health,
    metadata: MetadataLog,
}

/// Makes a stream playable.
pub(crate) fn open(stream: Stream) -> Result<Opened, Error> {
    let health = Health::default();
    let params = params(stream.format);
    let format = |reason: Reason| Error::Format(reason.to_string());
    let decoder = get_codec_registry()
        .make(&params, &DecoderOptions::default())
        .map_err(format)?;
    // symphonia gives what it knows of tags to nobody but its own probe.
    let untagged = Box::new(io::Cursor::new(UNTAGGED));
    let untagged = MediaSourceStream::new(untagged, MediaSourceStreamOptions::default());
    let (_, meta) = probe(untagged).map_err(format)?;
    let feed = Feed {
        track: Track::new(0, params),
        silence: match stream.format {
            Format::Opus => SILENCE,
            Format::Pcm => SILENT_PCM,
        },
        stream,
        here: 0,
        health: health.clone(),
        metadata: MetadataLog::default(),
    };
    let parsed = Parsed {
        format: Box::new(feed),
        decoder,
        track_id: 0,
        meta,
        supports_backseek: true,
    };
    Ok(Opened {
        input: Input::Live(LiveInput::Parsed(parsed), None),
        title: None,
        duration: None,
        seekable: false,
        health,
    })
}

fn params(format: Format) -> CodecParameters {
    let mut params = CodecParameters::new();
    params
        .for_codec(match format {
            Format::Opus => CODEC_TYPE_OPUS,
            Format::Pcm => CODEC_TYPE_PCM_S16LE,
        })
        .with_sample_rate(RATE)
        .with_time_base(TimeBase::new(1, RATE))
        .with_channels(Channels::FRONT_LEFT | Channels::FRONT_RIGHT)
        .with_bits_per_sample(16)
        .with_bits_per_coded_sample(16)
        .with_max_frames_per_packet(SAMPLES as u64);
    params
}

impl FormatReader for Feed {
    fn try_new(_: MediaSourceStream, _: &FormatOptions) -> Read<Self> {
        unsupported_error("it is made of a stream")
    }

    fn cues(&self) -> &[Cue] {
        &[]
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.metadata.metadata()
    }

    /// Stays where it is.
    fn seek(&mut self, _: SeekMode, _: SeekTo) -> Read<SeekedTo> {
        self.health.refuse_seek(Error::Unseekable);
        Ok(SeekedTo {
            track_id: 0,
            required_ts: self.here,
            actual_ts: self.here,
        })
    }

    fn tracks(&self) -> &[Track] {
        std::slice::from_ref(&self.track)
    }

    /// Does not block.
    fn next_packet(&mut self) -> Read<Packet> {
        let packet = match self.stream.queue.take() {
            Next::End => return Err(Reason::IoError(io::ErrorKind::UnexpectedEof.into())),
            Next::Frame(frame) => {
                let packet = Packet::new_from_slice(0, self.here, SAMPLES as u64, &frame);
                self.here += SAMPLES as u64;
                self.health.take(FRAME);
                packet
            }
            Next::Silence => {
                self.health.wait();
                Packet::new_from_slice(0, self.here, SAMPLES as u64, self.silence)
            }
        };
        Ok(packet)
    }

    fn into_inner(self: Box<Self>) -> MediaSourceStream {
        empty()
    }
}
