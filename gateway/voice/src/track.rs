//! A track as a worker asked for it, checked.

use std::{fmt, sync::Arc, time::Duration};

use prost::Message as _;
use wire::gateway::v1::{Error as Failure, VoiceStreamFormat, VoiceTrack, voice_track::Source};

use crate::failure::invalid;

/// How long an id may be, in bytes.
const LONGEST_ID: usize = 64;
/// How much a worker may add of its own, in bytes.
const MOST_METADATA: usize = 4 << 10;
/// How long a title may be, in bytes.
const LONGEST_TITLE: usize = 1 << 10;
/// How long an address, a path or words to search for may be, in bytes.
const LONGEST_PLACE: usize = 8 << 10;
/// The loudest.
pub(crate) const LOUDEST: f64 = 2.0;

/// Something to be played; cheap to clone.
#[derive(Clone, PartialEq)]
pub(crate) struct Track(Arc<VoiceTrack>);

impl Track {
    /// Checks a track. One without an id gets one; inline sound has at most `most` bytes.
    pub(crate) fn new(track: VoiceTrack, most: usize) -> Result<Self, Failure> {
        let mut track = track;
        check_source(track.source.as_ref(), most)?;
        if track.id.len() > LONGEST_ID {
            return Err(wrong(
                "id",
                &format!("it is longer than {LONGEST_ID} bytes"),
            ));
        }
        if track.id.is_empty() {
            track.id = format!("{:016x}", fastrand::u64(..));
        }
        if track.title.len() > LONGEST_TITLE {
            let why = format!("it is longer than {LONGEST_TITLE} bytes");
            return Err(wrong("title", &why));
        }
        if let Some(volume) = track.volume {
            check_volume(volume).map_err(|why| wrong("volume", &why))?;
        }
        if track.start.is_some_and(|start| positive(start).is_none()) {
            return Err(wrong("start", "it is before the beginning"));
        }
        let metadata = track.metadata.as_ref().map_or(0, |it| it.encoded_len());
        if metadata > MOST_METADATA {
            let why = format!("it has {metadata} bytes, and may have {MOST_METADATA}");
            return Err(wrong("metadata", &why));
        }
        // It is an answer's.
        track.duration = None;
        Ok(Self(Arc::new(track)))
    }

    /// One that was saved.
    pub(crate) fn again(track: VoiceTrack) -> Result<Self, Failure> {
        Self::new(track, usize::MAX)
    }

    /// As it is saved: all of it.
    pub(crate) fn whole(&self) -> VoiceTrack {
        VoiceTrack::clone(&self.0)
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// Where its sound comes from.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// How loud it is, before the call's volume.
    pub(crate) fn volume(&self) -> f64 {
        self.0.volume.unwrap_or(1.0)
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Duration {
        self.0.start.and_then(positive).unwrap_or_default()
    }

    /// How long it is, if that was found out.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.0.duration.and_then(positive)
    }

    /// The same with what was found out about it.
    pub(crate) fn found(&self, title: Option<String>, duration: Option<Duration>) -> Self {
        let mut track = VoiceTrack::clone(&self.0);
        if track.title.is_empty() {
            track.title = title.unwrap_or_default();
        }
        if let Some(duration) = duration {
            track.duration = Some(proto(duration));
        }
        Self(Arc::new(track))
    }

    /// As others see it: without its inline sound.
    pub(crate) fn shown(&self) -> VoiceTrack {
        let track = &*self.0;
        let source = match &track.source {
            Some(Source::Data(_)) => Some(Source::Data(Vec::new())),
            source => source.clone(),
        };
        VoiceTrack {
            id: track.id.clone(),
            source,
            volume: track.volume,
            start: track.start,
            title: track.title.clone(),
            duration: track.duration,
            metadata: track.metadata.clone(),
        }
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses may have secrets in them.
        f.debug_struct("Track")
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}

/// A duration of the contract that is none before the beginning.
pub(crate) fn positive(duration: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(duration).ok()
}

/// A duration as the contract has it.
pub(crate) fn proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// Whether a volume is one.
pub(crate) fn check_volume(volume: f64) -> Result<(), String> {
    match (0.0..=LOUDEST).contains(&volume) {
        true => Ok(()),
        false => Err(format!("{volume} is not between 0 and {LOUDEST}")),
    }
}

fn check_source(source: Option<&Source>, most: usize) -> Result<(), Failure> {
    let long = |name: &str, text: &str| match text.len() {
        0 => Err(wrong(name, "it is empty")),
        1..=LONGEST_PLACE => Ok(()),
        _ => {
            let why = format!("it is longer than {LONGEST_PLACE} bytes");
            Err(wrong(name, &why))
        }
    };
    match source {
        None => {
            let why = "one of `url`, `data`, `file`, `stream` and `query` has to be there";
            Err(wrong("source", why))
        }
        Some(Source::Url(url)) => long("url", url),
        Some(Source::File(file)) => long("file", file),
        Some(Source::Query(query)) => long("query", query),
        Some(Source::Data(data)) if data.is_empty() => Err(wrong("data", "it is empty")),
        Some(Source::Data(data)) if data.len() > most => {
            let why = format!("it has {} bytes, and may have {most}", data.len());
            Err(wrong("data", &why))
        }
        Some(Source::Data(_)) => Ok(()),
        Some(Source::Stream(format)) => match VoiceStreamFormat::try_from(*format) {
            Ok(VoiceStreamFormat::Opus | VoiceStreamFormat::Pcm) => Ok(()),
            _ => Err(wrong("stream", "it names no format")),
        },
    }
}

fn wrong(field: &str, why: &str) -> Failure {
    invalid(format!("track.{field}: {why}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A track with this id.
    pub(crate) fn track(id: &str) -> Track {
        let url = "https://example.org/a.mp3".to_owned();
        let track = VoiceTrack {
            id: id.to_owned(),
            source: Some(Source::Url(url)),
            ..VoiceTrack::default()
        };
        Track::new(track, 10).unwrap()
    }

    type Change = Box<dyn FnOnce(&mut VoiceTrack)>;

    fn with(change: impl FnOnce(&mut VoiceTrack)) -> Result<Track, String> {
        let mut track = VoiceTrack {
            source: Some(Source::Data(vec![1, 2, 3])),
            ..VoiceTrack::default()
        };
        change(&mut track);
        Track::new(track, 10).map_err(|failure| failure.message)
    }

    #[test]
    fn one_without_an_id_gets_one_of_its_own() {
        let (one, other) = (with(|_| {}).unwrap(), with(|_| {}).unwrap());
        assert_eq!(one.id().len(), 16);
        assert_ne!(one.id(), other.id());
    }

    #[test]
    fn each_mistake_is_named() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        let mistakes: [(&str, Change); 9] = [
            ("track.source", Box::new(|it| it.source = None)),
            (
                "track.data",
                Box::new(|it| it.source = Some(Source::Data(vec![0; 11]))),
            ),
            (
                "track.data",
                Box::new(|it| it.source = Some(Source::Data(Vec::new()))),
            ),
            (
                "track.stream",
                Box::new(|it| it.source = Some(Source::Stream(0))),
            ),
            (
                "track.url",
                Box::new(|it| it.source = Some(Source::Url(String::new()))),
            ),
            ("track.id", Box::new(|it| it.id = "x".repeat(65))),
            ("track.title", Box::new(|it| it.title = "x".repeat(2000))),
            ("track.volume", Box::new(|it| it.volume = Some(f64::NAN))),
            ("track.start", Box::new(move |it| it.start = Some(negative))),
        ];
        for (field, change) in mistakes {
            let mistake = with(change).unwrap_err();
            assert!(mistake.starts_with(field), "{mistake}");
        }
    }

    #[test]
    fn inline_sound_is_not_shown() {
        let shown = with(|_| {}).unwrap().shown();
        assert_eq!(shown.source, Some(Source::Data(Vec::new())));
    }

    #[test]
    fn what_was_found_out_does_not_replace_what_was_said() {
        let said = with(|it| it.title = "mine".to_owned()).unwrap();
        let found = said.found(Some("theirs".to_owned()), Some(Duration::from_secs(2)));
        assert_eq!(found.shown().title, "mine");
        assert_eq!(found.duration(), Some(Duration::from_secs(2)));
    }
}
