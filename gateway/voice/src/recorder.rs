//! A recording of a call, on its way to workers or into files.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use broker::{Live, Shot};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prost::Message as _;
use recording::{Ears, Format, Recording, Stopped, Tally};
use tokio::{
    select,
    sync::mpsc::Receiver,
    task::JoinSet,
    time::{self, Instant},
};
use wire::{
    gateway::v1::{
        Error as Failure, VoiceAudio, VoiceRecordRequest, VoiceRecordTarget,
        VoiceStopRecordResponse, VoiceStreamFormat,
    },
    routing,
};

use crate::{
    failure::invalid,
    metrics::{Counted, Metrics},
    track::positive,
};

/// How many users a request may name.
const MOST_USERS: usize = 1_000;
/// How often it is counted what was received.
const BOOKED: Duration = Duration::from_secs(1);
/// How often songbird may have listened to nothing then, until it is taken for deaf.
const DEAF: u32 = 5;
/// How long the last frames may take to come into a queue.
const LAST: Duration = Duration::from_secs(2);
/// The same for the ends of files.
const WRITTEN: Duration = Duration::from_secs(10);

/// What is to be recorded, and where it goes.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    /// Whom. Empty: all.
    pub(crate) users: HashSet<u64>,
    /// Where to.
    pub(crate) target: Target,
    /// For how long.
    pub(crate) limit: Option<Duration>,
}

/// Where a recording goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To workers, so.
    Broker(Format),
    /// Into files.
    Files,
}

impl Wanted {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(request: &VoiceRecordRequest) -> Result<Self, Failure> {
        let users = &request.user_ids;
        if users.len() > MOST_USERS || users.contains(&0) {
            let text = format!("user_ids: there may be {MOST_USERS}, and none of them 0");
            return Err(invalid(text));
        }
        let target = match (request.target(), request.format()) {
            (VoiceRecordTarget::Broker, VoiceStreamFormat::Opus) => Target::Broker(Format::Opus),
            (VoiceRecordTarget::Broker, VoiceStreamFormat::Pcm) => Target::Broker(Format::Pcm),
            (VoiceRecordTarget::Broker, VoiceStreamFormat::Unspecified) => {
                return Err(invalid("format: it names no format"));
            }
            (VoiceRecordTarget::Files, _) => Target::Files,
            (VoiceRecordTarget::Unspecified, _) => {
                return Err(invalid("target: it names no place"));
            }
        };
        let limit = match request.limit {
            None => None,
            Some(limit) => match positive(limit).filter(|limit| !limit.is_zero()) {
                None => return Err(invalid("limit: it is no time")),
                limit => limit,
            },
        };
        let users = users.iter().copied().collect();
        Ok(Self {
            users,
            target,
            limit,
        })
    }
}

/// A recording that goes on.
#[derive(Debug)]
pub(crate) struct Recorder {
    recording: Recording,
    books: Books,
    /// When they are looked at next.
    next: Instant,
    /// When it ends by itself.
    until: Option<Instant>,
    /// How often nothing was listened to.
    unheard: u32,
    /// What takes frames to workers.
    sending: JoinSet<()>,
    _counted: Counted,
}

/// What the metrics know of a recording.
#[derive(Debug)]
struct Books {
    tally: Arc<Tally>,
    metrics: Metrics,
    delivered: u64,
    dropped: u64,
}

impl Recorder {
    /// Begins to send workers what users say.
    pub(crate) fn audio(
        ears: &Ears,
        call: recording::Call,
        wanted: Wanted,
        format: Format,
        way: Way,
        metrics: &Metrics,
    ) -> Self {
        let (recording, audio) = ears.record_audio(call, wanted.users, format);
        let mut recorder = Self::new(recording, wanted.limit, metrics);
        let tally = Arc::clone(&recorder.books.tally);
        recorder.sending.spawn(way.send_all(audio, tally));
        recorder
    }

    /// Begins to write what users say into a directory below this one, for so long at most.
    pub(crate) async fn files(
        ears: Ears,
        directory: &Path,
        wanted: Wanted,
        most: Duration,
        metrics: &Metrics,
    ) -> Result<Self, recording::Error> {
        let recording = ears.record_files(directory, wanted.users).await?;
        let limit = wanted.limit.map_or(most, |limit| limit.min(most));
        Ok(Self::new(recording, Some(limit), metrics))
    }

    fn new(recording: Recording, limit: Option<Duration>, metrics: &Metrics) -> Self {
        let now = Instant::now();
        Self {
            books: Books {
                tally: recording.tally(),
                metrics: metrics.clone(),
                delivered: 0,
                dropped: 0,
            },
            recording,
            next: now + BOOKED,
            until: limit.and_then(|limit| now.checked_add(limit)),
            unheard: 0,
            sending: JoinSet::new(),
            _counted: metrics.recording(),
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &str {
        self.recording.id()
    }

    /// When [`Recorder::tick`] has something to do.
    pub(crate) fn due(&self) -> Instant {
        self.until.map_or(self.next, |until| until.min(self.next))
    }

    /// Counts what was received; whether it has lasted as long as it may.
    pub(crate) fn tick(&mut self) -> bool {
        self.books.update();
        self.next = Instant::now() + BOOKED;
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// Whether songbird hears nothing any more, by what it did since the last time, with a connection or without.
    pub(crate) fn is_deaf(&mut self, has_listened: bool, is_connected: bool) -> bool {
        self.unheard = match is_connected && !has_listened {
            true => self.unheard + 1,
            false => 0,
        };
        self.unheard >= DEAF
    }

    /// Ends it, and says what there is of it.
    pub(crate) async fn stop(self) -> VoiceStopRecordResponse {
        let Self {
            recording,
            mut books,
            mut sending,
            ..
        } = self;
        let recording_id = recording.id().to_owned();
        let stopped = time::timeout(WRITTEN, recording.stop()).await;
        let is_late = stopped.is_err();
        let Stopped {
            files,
            users,
            failure,
        } = stopped.unwrap_or_default();
        while sending.join_next().await.is_some() {}
        books.update();
        let detail = match failure {
            _ if is_late => "the files are still being written".to_owned(),
            Some(failure) => failure.to_string(),
            None => String::new(),
        };
        VoiceStopRecordResponse {
            recording_id,
            files,
            dropped: books.dropped,
            frames: books.tally.frames(),
            user_ids: users,
            detail,
        }
    }
}

impl Books {
    /// Counts what has come since the last time.
    fn update(&mut self) {
        let (delivered, dropped) = (self.tally.delivered(), self.tally.dropped());
        self.metrics
            .received(delivered - self.delivered, dropped - self.dropped);
        (self.delivered, self.dropped) = (delivered, dropped);
    }
}

/// The way to workers.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Over which it leads.
    pub(crate) live: Live,
    /// The application whose call it is.
    pub(crate) application_id: u64,
}

impl Way {
    /// Sends until nothing more comes, and waits until RabbitMQ has the last of it.
    async fn send_all(self, mut audio: Receiver<VoiceAudio>, tally: Arc<Tally>) {
        let mut under_way = FuturesUnordered::new();
        let mut unsettled = 0;
        loop {
            let message = select! {
                Some((frames, is_queued)) = under_way.next() => {
                    unsettled -= frames;
                    tally.settle(frames, is_queued);
                    continue;
                }
                message = audio.recv() => message,
            };
            let Some(message) = message else { break };
            let frames = packets(&message);
            match self.live.send(self.shot(&message)) {
                Some(told) => {
                    unsettled += frames;
                    under_way.push(async move { (frames, told.await.is_ok()) });
                }
                None => tally.settle(frames, false),
            }
        }
        let until = Instant::now() + LAST;
        while let Ok(Some((frames, is_queued))) = time::timeout_at(until, under_way.next()).await {
            unsettled -= frames;
            tally.settle(frames, is_queued);
        }
        tally.settle(unsettled, false);
    }

    fn shot(&self, message: &VoiceAudio) -> Shot {
        let VoiceAudio {
            guild_id, user_id, ..
        } = *message;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Shot {
            routing_key: routing::voice_audio_key(self.application_id, guild_id, user_id),
            type_name: routing::TYPE_VOICE_AUDIO,
            app_id: self.application_id.to_string().into(),
            timestamp: since.map_or(0, |since| since.as_secs()),
            body: message.encode_to_vec().into(),
        }
    }
}

/// How many packets the frames of a message were.
fn packets(message: &VoiceAudio) -> u64 {
    let frames = &message.frames;
    let pairs = frames.windows(2);
    let further = pairs.filter(|pair| pair[0].sequence != pair[1].sequence);
    further.count() as u64 + u64::from(!frames.is_empty())
}

#[cfg(test)]
mod tests {
    use wire::gateway::v1::VoiceAudioFrame;

    use super::*;

    fn request() -> VoiceRecordRequest {
        VoiceRecordRequest {
            guild_id: 1,
            target: VoiceRecordTarget::Broker.into(),
            format: VoiceStreamFormat::Pcm.into(),
            ..VoiceRecordRequest::default()
        }
    }

    #[test]
    fn each_mistake_is_named() {
        type Change = fn(&mut VoiceRecordRequest);
        let mistakes: [(&str, Change); 6] = [
            ("target", |it| it.target = 0),
            ("target", |it| it.target = 77),
            ("format", |it| it.format = 0),
            ("user_ids", |it| it.user_ids = vec![1, 0]),
            ("user_ids", |it| it.user_ids = vec![1; 1_001]),
            ("limit", |it| {
                it.limit = Some(prost_types::Duration::default());
            }),
        ];
        for (field, change) in mistakes {
            let mut wrong = request();
            change(&mut wrong);
            let failure = Wanted::read(&wrong).unwrap_err();
            assert!(failure.message.starts_with(field), "{failure:?}");
        }
        let wanted = Wanted::read(&request()).unwrap();
        assert_eq!(wanted.target, Target::Broker(Format::Pcm));
    }

    fn frame(sequence: u32) -> VoiceAudioFrame {
        VoiceAudioFrame {
            sequence,
            ..VoiceAudioFrame::default()
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted_as_dropped() {
        let way = Way {
            live: Live::nowhere(),
            application_id: 1,
        };
        let tally = Arc::new(Tally::default());
        let (messages, audio) = tokio::sync::mpsc::channel(1);
        let message = VoiceAudio {
            frames: vec![frame(1), frame(2)],
            ..VoiceAudio::default()
        };
        messages.send(message).await.unwrap();
        drop(messages);
        way.send_all(audio, Arc::clone(&tally)).await;
        assert_eq!((tally.delivered(), tally.dropped()), (0, 2));
    }

    #[test]
    fn a_packet_of_several_frames_is_one() {
        let mut message = VoiceAudio::default();
        assert_eq!(packets(&message), 0);
        message.frames = [5, 5, 5, 6, 8].map(frame).to_vec();
        assert_eq!(packets(&message), 3);
    }
}
