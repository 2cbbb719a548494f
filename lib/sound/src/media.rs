//! A file's content made playable: which format it has, which of its tracks is sound, how long it is, what it is
//! called.

use std::time::Duration;

use songbird::input::{
    Input, LiveInput, Parsed,
    codecs::{get_codec_registry, get_probe},
};
use symphonia::core::{
    codecs::{CODEC_TYPE_OPUS, CodecParameters, Decoder, DecoderOptions},
    errors::{Error as Reason, Result as Read},
    formats::{FormatOptions, FormatReader, Packet, Track},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::{Limit, MetadataOptions, MetadataRevision, StandardTagKey},
    probe::{Hint, ProbedMetadata},
    units::TimeBase,
};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Error, Health, Opened,
    ahead::{Ahead, Known},
    careful::Careful,
    demuxer::Demuxer,
    frames::samples,
    guard::guarded,
    stereo::RATE,
    stream::SAMPLES,
};

/// The longest title, in bytes.
const TITLE: usize = 256;
/// Pictures and tags that are larger are left out.
const TAGS: usize = 64 << 10;

/// Ends the reading of a source when it is dropped.
pub(crate) struct Stop(#[expect(dead_code, reason = "it is there to be dropped")] DropGuard);

impl From<CancellationToken> for Stop {
    fn from(token: CancellationToken) -> Self {
        Self(token.drop_guard())
    }
}

/// Bytes to be read, and what is to be known for it.
pub(crate) struct Media {
    pub(crate) content: Box<dyn MediaSource>,
    pub(crate) health: Health,
    /// Bytes that are read before they are played.
    pub(crate) read_ahead: usize,
    pub(crate) runtime: Handle,
    pub(crate) stop: Stop,
}

impl Media {
    /// Reads the beginning of a file, up to its first sound. Blocks.
    pub(crate) fn open(self) -> Result<Opened, Error> {
        let health = self.health.clone();
        // What the source itself says about its end tells more than what the demuxer made of it.
        let opened = self.read();
        opened.map_err(|reason| {
            health
                .failure()
                .unwrap_or_else(|| Error::Format(reason.to_string()))
        })
    }

    fn read(self) -> Read<Opened> {
        let is_seekable = self.content.is_seekable();
        let content = MediaSourceStream::new(self.content, MediaSourceStreamOptions::default());
        let (mut format, mut meta) = guarded(|| probe(content))?;
        let (track, decoder) = guarded(|| choose(&*format))?;
        let title = title(&mut *format, &mut meta);
        let mut params = track.codec_params.clone();
        let own = params.time_base;
        let time_base = own.or_else(|| rate_base(&params));
        let known = Known {
            time_base: time_base.ok_or(Reason::Unsupported("no sample rate"))?,
            seekable: is_seekable && own.is_some(),
            duration: time_base.and_then(|it| duration(&params, it)),
            track,
        };
        let Known {
            duration, seekable, ..
        } = known;
        params.time_base = time_base;
        let demuxer = Demuxer::new(format, &known.track);
        let holding = (self.read_ahead, self.health.clone());
        let ahead = Ahead::new(demuxer, known, holding, (self.runtime, self.stop))?;
        let first = ahead.peek();
        let is_opus = params.codec == CODEC_TYPE_OPUS;
        let as_is = is_opus && first.iter().all(|it| samples(it.buf()) == Some(SAMPLES));
        let mut decoder = Careful::new(decoder, as_is, params, self.health.clone());
        check(&mut decoder, &first)?;
        ahead.refill();
        let parsed = Parsed {
            track_id: ahead.track(),
            format: Box::new(ahead),
            decoder: Box::new(decoder),
            meta,
            supports_backseek: true,
        };
        Ok(Opened {
            input: Input::Live(LiveInput::Parsed(parsed), None),
            title,
            duration,
            seekable,
            health: self.health,
        })
    }
}

/// Finds out the format of a file.
pub(crate) fn probe(content: MediaSourceStream) -> Read<(Box<dyn FormatReader>, ProbedMetadata)> {
    let limits = MetadataOptions {
        limit_metadata_bytes: Limit::Maximum(TAGS),
        limit_visual_bytes: Limit::Maximum(TAGS),
    };
    let probed = get_probe().format(&Hint::new(), content, &FormatOptions::default(), &limits)?;
    Ok((probed.format, probed.metadata))
}

/// The first track that can be decoded, the default one before others.
fn choose(format: &dyn FormatReader) -> Read<(Track, Box<dyn Decoder>)> {
    let tracks = format.default_track().into_iter().chain(format.tracks());
    let mut reason = Reason::Unsupported("no track in it is sound");
    for track in tracks {
        let is_wide = track.codec_params.channels.is_some_and(|it| it.count() > 2);
        if track.codec_params.codec == CODEC_TYPE_OPUS && is_wide {
            reason = Reason::Unsupported("Opus of more than two channels");
            continue;
        }
        let decoder = get_codec_registry().make(&track.codec_params, &DecoderOptions::default());
        if let Ok(decoder) = decoder {
            return Ok((track.clone(), decoder));
        }
    }
    Err(reason)
}

/// Decodes until there is sound.
fn check(decoder: &mut Careful, packets: &[Packet]) -> Read<()> {
    let is_sound = packets.iter().any(|packet| decoder.can(packet));
    decoder.reset();
    match is_sound {
        true => Ok(()),
        false => Err(Reason::Unsupported(
            "none of its first packets can be decoded",
        )),
    }
}

fn rate_base(params: &CodecParameters) -> Option<TimeBase> {
    let rate = match params.codec {
        CODEC_TYPE_OPUS => Some(RATE),
        _ => params.sample_rate.filter(|rate| *rate > 0),
    };
    rate.map(|rate| TimeBase::new(1, rate))
}

fn duration(params: &CodecParameters, time_base: TimeBase) -> Option<Duration> {
    let time = time_base.calc_time(params.n_frames.filter(|frames| *frames > 0)?);
    Duration::from_secs(time.seconds).checked_add(Duration::from_secs_f64(time.frac))
}

fn title(format: &mut dyn FormatReader, meta: &mut ProbedMetadata) -> Option<String> {
    let outer = meta.get();
    let outer = outer.as_ref().and_then(|log| title_in(log.current()?));
    outer.or_else(|| title_in(format.metadata().skip_to_latest()?))
}

fn title_in(revision: &MetadataRevision) -> Option<String> {
    let mut tags = revision.tags().iter();
    let tag = tags.find(|tag| tag.std_key == Some(StandardTagKey::TrackTitle))?;
    let title = tag.value.to_string();
    let title = title.trim();
    let end = title.floor_char_boundary(TITLE);
    let title = title.get(..end).unwrap_or_default();
    (!title.is_empty()).then(|| title.to_owned())
}
