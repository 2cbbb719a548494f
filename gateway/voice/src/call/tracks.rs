//! The tracks of a call: opened, played, ended.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sound::{Format, Opened, Source};
use wire::gateway::v1::{
    Error as Failure, TrackEnd, TrackEndReason, TrackError, TrackStart, VoicePlayResponse,
    VoiceStreamFormat, event::Data, voice_track,
};

use super::{Call, answer, orders::not_connected};
use crate::{
    driver::End,
    failure::{failure, invalid, nothing_plays},
    order::{Answer, Reply},
    track::{Track, proto},
};

/// A source that is being opened.
pub(super) struct Opening {
    track: Track,
    position: Duration,
    /// Who waits for it: it plays when it is there, and not before. Otherwise it is the queue's.
    reply: Option<Reply>,
    opened: BoxFuture<'static, Result<Opened, sound::Error>>,
}

impl Opening {
    /// What comes of it. Cancel safe.
    pub(super) async fn wait(&mut self) -> Result<Opened, sound::Error> {
        (&mut self.opened).await
    }

    /// Whether a worker waits for it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.reply.is_some()
    }
}

type Seeking = BoxFuture<'static, Result<Duration, Option<sound::Error>>>;

impl Call {
    /// Plays a track in place of the one that plays, as soon as it is opened.
    pub(super) fn play(&mut self, track: Track, reply: Reply) {
        if !self.is_connected() {
            return answer(reply, Err(not_connected()));
        }
        if let Err(failure) = self.queue.check(std::slice::from_ref(&track)) {
            return answer(reply, Err(failure));
        }
        self.open(track, Some(reply));
    }

    /// Opens the source of a track.
    pub(super) fn open(&mut self, track: Track, reply: Option<Reply>) {
        let position = track.start();
        self.open_at(track, position, reply);
    }

    /// The same, to be played from this position.
    pub(super) fn open_at(&mut self, track: Track, position: Duration, reply: Option<Reply>) {
        let Some(source) = self.source(&track) else {
            // A track was checked when it came.
            return;
        };
        let sources = std::sync::Arc::clone(&self.shared.sources);
        self.opening = Some(Opening {
            track,
            position,
            reply,
            opened: Box::pin(async move { sources.open(source).await }),
        });
    }

    /// Where the sound of a track comes from. That of a stream comes from now on.
    fn source(&mut self, track: &Track) -> Option<Source> {
        Some(match track.source()? {
            voice_track::Source::Url(url) => Source::Url(url.clone()),
            voice_track::Source::Data(data) => Source::Data(data.clone().into()),
            voice_track::Source::File(file) => Source::File(file.clone()),
            voice_track::Source::Query(query) => Source::Query(query.clone()),
            voice_track::Source::Stream(format) => {
                let format = match VoiceStreamFormat::try_from(*format) {
                    Ok(VoiceStreamFormat::Pcm) => Format::Pcm,
                    _ => Format::Opus,
                };
                let (sender, stream) = sound::stream(format);
                self.stream = Some((track.id().to_owned(), sender));
                Source::Stream(stream)
            }
        })
    }

    /// A source was opened, or cannot be.
    pub(super) async fn on_opened(&mut self, opened: (Opening, Result<Opened, sound::Error>)) {
        self.is_changed = true;
        let (opening, result) = opened;
        let Opening {
            track,
            position,
            reply,
            ..
        } = opening;
        let result = match result {
            Ok(opened)
                if opened
                    .duration
                    .is_some_and(|length| position >= length && !length.is_zero()) =>
            {
                Err(invalid("track.start: it is behind the end of the track"))
            }
            Ok(opened) => Ok(opened),
            Err(error) => Err(failure(error.code(), error.to_string())),
        };
        match (result, reply) {
            (Ok(opened), Some(reply)) => {
                self.locate().await;
                self.end_track(TrackEndReason::Replaced);
                self.queue.play(track.clone());
                self.paused = false;
                let track = self.begin(&track, opened, position);
                let track = Some(track.shown());
                answer(reply, Ok(Answer::new(&VoicePlayResponse { track })));
            }
            (Ok(opened), None) => {
                self.begin(&track, opened, position);
            }
            (Err(refused), Some(reply)) => {
                answer(reply, Err(refused));
                if self.playing.is_none() {
                    // What played has ended meanwhile.
                    let next = self.queue.playing().cloned();
                    self.advance(next);
                }
            }
            (Err(refused), None) => {
                self.position = position;
                self.fail(&track, &refused.message);
            }
        }
    }

    /// Plays a track that was opened; what is known of it now.
    fn begin(&mut self, track: &Track, opened: Opened, position: Duration) -> Track {
        let track = track.found(opened.title.clone(), opened.duration);
        self.queue.found(track.clone());
        let volume = self.volume * track.volume();
        let playing = self.player.play(opened, volume, position, self.paused);
        self.playing = Some(playing);
        self.position = position;
        self.held.locate(position);
        let event = TrackStart {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            track: Some(track.shown()),
            position: Some(proto(position)),
        };
        self.tell(Data::TrackStart(Box::new(event)));
        track
    }

    /// Songbird has come to the end of a track.
    pub(super) fn on_ended(&mut self, number: u64, end: &End) {
        let Some(playing) = self.playing.take_if(|playing| playing.number == number) else {
            // It was ended on purpose.
            return;
        };
        self.is_changed = true;
        self.position = playing.heard(end.position);
        let failure = playing.failure().map(|error| error.to_string());
        drop(playing);
        let Some(track) = self.queue.playing().cloned() else {
            return;
        };
        if let Some(why) = failure.or_else(|| end.error.clone()) {
            return self.fail(&track, &why);
        }
        self.told_end(&track, TrackEndReason::Finished);
        let next = self.queue.ended();
        if !self.is_waiting() {
            self.advance(next);
        }
    }

    /// A track cannot be played, or not any further; the next one plays.
    fn fail(&mut self, track: &Track, why: &str) {
        let event = TrackError {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            track: Some(track.shown()),
            position: Some(proto(self.position)),
            detail: why.to_owned(),
        };
        self.tell(Data::TrackError(Box::new(event)));
        self.told_end(track, TrackEndReason::Failed);
        let next = self.queue.failed();
        if !self.is_waiting() {
            self.advance(next);
        }
    }

    /// Whether a worker's track is being opened, which plays in place of whatever the queue has.
    fn is_waiting(&self) -> bool {
        self.opening.as_ref().is_some_and(Opening::is_waited_for)
    }

    /// Goes on with this track, or with none.
    pub(super) fn advance(&mut self, next: Option<Track>) {
        self.opening = None;
        self.stream = None;
        self.position = Duration::ZERO;
        self.held.locate(Duration::ZERO);
        if let Some(track) = next {
            self.open(track, None);
        }
    }

    /// Ends what plays. What is only being opened was not told to have begun.
    pub(super) fn end_track(&mut self, reason: TrackEndReason) {
        let played = self.playing.take().is_some();
        if let Some(track) = self.queue.playing().cloned()
            && played
        {
            self.told_end(&track, reason);
        }
    }

    /// Ends everything.
    pub(super) fn drop_tracks(&mut self) {
        self.end_track(TrackEndReason::CallEnded);
        if let Some(Opening {
            reply: Some(reply), ..
        }) = self.opening.take()
        {
            answer(reply, Err(crate::failure::no_call(self.guild_id)));
        }
        self.stream = None;
        self.streaming.clear();
        self.work = None;
        self.queue.stop();
    }

    fn told_end(&self, track: &Track, reason: TrackEndReason) {
        self.shared.metrics.track(reason.as_str_name());
        let event = TrackEnd {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            track: Some(track.shown()),
            position: Some(proto(self.position)),
            reason: reason.into(),
        };
        self.tell(Data::TrackEnd(Box::new(event)));
    }

    /// Whether a position can be gone to; the way there, if it is not the one that a track only begins with.
    pub(super) fn check_seek(&mut self, position: Duration) -> Result<Option<Seeking>, Failure> {
        let Some(track) = self.queue.playing() else {
            return Err(nothing_plays());
        };
        if let Some(length) = track.duration()
            && position > length
        {
            let text = format!("the track ends at {} s", length.as_secs_f64());
            return Err(failure(wire::gateway::v1::Code::OutOfRange, text));
        }
        let is_connected = self.is_connected();
        match (&self.playing, &mut self.opening) {
            (Some(playing), _) if !playing.seekable => {
                let text = "the track's source has no positions";
                Err(failure(wire::gateway::v1::Code::FailedPrecondition, text))
            }
            (Some(_), _) if !is_connected => Err(not_connected()),
            (Some(playing), _) => Ok(Some(Box::pin(playing.seek(position)))),
            (None, Some(opening)) => {
                opening.position = position;
                Ok(None)
            }
            (None, None) => Err(nothing_plays()),
        }
    }
}
