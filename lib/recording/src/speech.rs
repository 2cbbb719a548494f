//! What is said in a call while it is recorded, and where it goes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc::Sender, time::Instant};
use wire::gateway::v1::{VoiceAudio, VoiceStreamFormat};

use crate::{
    Tally,
    audio::{Audio, Format},
    order::{Frame, Order, Packet, SILENCE},
};

/// Streams of one call at a time.
const STREAMS: usize = 1000;
/// Frames of a message.
const BATCH: usize = 5;
/// Frames that wait until it is known whose they are.
const NAMELESS: usize = 50;
/// After so long without a packet a stream is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Users who are remembered to have been heard.
const HEARD: usize = 10_000;

/// A call that is recorded.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) recording: String,
    began: Instant,
    /// Only these are recorded. Empty: all.
    users: HashSet<u64>,
    voices: HashMap<u32, Voice>,
    sink: Sink,
    tally: Arc<Tally>,
    /// Who was heard.
    pub(crate) heard: BTreeSet<u64>,
}

/// Where frames go. What does not fit is dropped.
#[derive(Debug)]
pub(crate) enum Sink {
    Audio {
        sender: Sender<VoiceAudio>,
        guild_id: u64,
        channel_id: u64,
        format: Format,
    },
    Files(Sender<Said>),
}

/// Frames of one speaker.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) user: u64,
    pub(crate) frames: Vec<Frame>,
}

/// One stream of packets.
#[derive(Debug)]
struct Voice {
    order: Order,
    audio: Option<Audio>,
    waiting: Vec<Frame>,
    /// When the last packet came.
    heard: Instant,
}

impl Speech {
    pub(crate) fn new(
        recording: String,
        began: Instant,
        users: HashSet<u64>,
        sink: Sink,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            recording,
            began,
            users,
            voices: HashMap::new(),
            sink,
            tally,
            heard: BTreeSet::new(),
        }
    }

    /// The call goes on in another channel.
    pub(crate) fn moved(&mut self, channel: u64) {
        if let Sink::Audio { channel_id, .. } = &mut self.sink {
            *channel_id = channel;
        }
    }

    /// Takes a packet of a stream, which may be known to be somebody's.
    pub(crate) fn packet(&mut self, now: Instant, ssrc: u32, user: Option<u64>, packet: Packet) {
        if user.is_some_and(|user| !self.wants(user)) {
            return;
        }
        if !self.voices.contains_key(&ssrc) && self.voices.len() >= STREAMS {
            self.lose(1);
            return;
        }
        let (began, format) = (self.began, self.format());
        let voice = self.voices.entry(ssrc).or_insert_with(|| Voice {
            order: Order::new(began),
            audio: format.map(Audio::new),
            waiting: Vec::new(),
            heard: now,
        });
        voice.heard = now;
        let frames = voice.order.push(now, packet);
        voice.waiting.extend(frames);
        self.pass_on(ssrc, user, false);
    }

    /// Lets go of what has waited long enough. To be called every 20 ms.
    pub(crate) fn tick(&mut self, now: Instant, users: &HashMap<u32, u64>) {
        let streams: Vec<u32> = self.voices.keys().copied().collect();
        for ssrc in streams {
            let Some(voice) = self.voices.get_mut(&ssrc) else {
                continue;
            };
            let frames = voice.order.due(now);
            let is_idle = now.saturating_duration_since(voice.heard) > Duration::from_millis(100);
            voice.waiting.extend(frames);
            self.pass_on(ssrc, users.get(&ssrc).copied(), is_idle);
        }
        self.voices
            .retain(|_, voice| now.saturating_duration_since(voice.heard) < FORGOTTEN);
    }

    /// Lets go of everything, at the end or when streams get other numbers.
    pub(crate) fn end(&mut self, users: &HashMap<u32, u64>) {
        let streams: Vec<u32> = self.voices.keys().copied().collect();
        for ssrc in streams {
            if let Some(voice) = self.voices.get_mut(&ssrc) {
                let frames = voice.order.rest();
                voice.waiting.extend(frames);
            }
            self.pass_on(ssrc, users.get(&ssrc).copied(), true);
        }
        let nameless = self.voices.values().map(|voice| voice.waiting.len() as u64);
        self.lose(nameless.sum());
        self.voices.clear();
    }

    /// So many frames were heard, and go nowhere.
    fn lose(&self, frames: u64) {
        self.tally.hear(frames);
        self.tally.settle(frames, false);
    }

    fn wants(&self, user: u64) -> bool {
        self.users.is_empty() || self.users.contains(&user)
    }

    fn format(&self) -> Option<Format> {
        match &self.sink {
            Sink::Audio { format, .. } => Some(*format),
            Sink::Files(_) => None,
        }
    }

    /// Passes on what waits, when it is enough or nothing follows for now.
    fn pass_on(&mut self, ssrc: u32, user: Option<u64>, all: bool) {
        let Some(voice) = self.voices.get_mut(&ssrc) else {
            return;
        };
        let Some(user) = user else {
            let surplus = voice.waiting.len().saturating_sub(NAMELESS);
            voice.waiting.drain(..surplus);
            self.lose(surplus as u64);
            return;
        };
        let pauses = voice
            .waiting
            .last()
            .is_some_and(|it| it.data == SILENCE[..]);
        if voice.waiting.is_empty() || (voice.waiting.len() < BATCH && !all && !pauses) {
            return;
        }
        let frames = std::mem::take(&mut voice.waiting);
        let count = frames.len() as u64;
        // Frames that came before it was known whose they are.
        let is_wanted = self.users.is_empty() || self.users.contains(&user);
        if !is_wanted {
            return;
        }
        self.tally.hear(count);
        if self.heard.len() < HEARD {
            self.heard.insert(user);
        }
        let audio = voice.audio.as_mut();
        let lost = self.sink.pass(&self.recording, user, frames, audio);
        self.tally.settle(lost, false);
    }
}

impl Sink {
    /// Passes frames on; how many are lost, as there is no room for them, or they are no sound.
    fn pass(
        &self,
        recording: &str,
        user: u64,
        frames: Vec<Frame>,
        audio: Option<&mut Audio>,
    ) -> u64 {
        let count = frames.len() as u64;
        let (sender, mut message) = match self {
            Self::Files(sender) => {
                let passed = sender.try_send(Said { user, frames });
                return if passed.is_ok() { 0 } else { count };
            }
            Self::Audio {
                sender,
                guild_id,
                channel_id,
                format,
            } => {
                let message = VoiceAudio {
                    guild_id: *guild_id,
                    channel_id: *channel_id,
                    user_id: user,
                    recording_id: recording.to_owned(),
                    format: VoiceStreamFormat::from(*format).into(),
                    frames: Vec::new(),
                };
                (sender, message)
            }
        };
        let Some(audio) = audio else { return count };
        let mut broken = 0;
        for frame in &frames {
            let made = audio.frames(frame);
            broken += u64::from(made.is_empty());
            message.frames.extend(made);
        }
        match message.frames.is_empty() || sender.try_send(message).is_ok() {
            true => broken,
            false => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc::{self, Receiver};

    use super::*;

    const SSRC: u32 = 9;
    const USER: u64 = 8;

    fn speech(users: &[u64], room: usize) -> (Speech, Receiver<VoiceAudio>) {
        let (sender, receiver) = mpsc::channel(room);
        let sink = Sink::Audio {
            sender,
            guild_id: 1,
            channel_id: 2,
            format: Format::Opus,
        };
        let users = users.iter().copied().collect();
        let tally = Arc::default();
        let speech = Speech::new("id".to_owned(), Instant::now(), users, sink, tally);
        (speech, receiver)
    }

    fn packet(number: u16) -> Packet {
        Packet {
            sequence: number,
            timestamp: u32::from(number) * 960,
            data: Bytes::from_static(&[1; 8]),
        }
    }

    fn say(speech: &mut Speech, user: Option<u64>, numbers: std::ops::Range<u16>) {
        for number in numbers {
            speech.packet(Instant::now(), SSRC, user, packet(number));
        }
    }

    fn sequences(message: &VoiceAudio) -> Vec<u32> {
        message.frames.iter().map(|frame| frame.sequence).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_five_at_a_time_and_the_rest_before_a_pause() {
        let (mut speech, mut audio) = speech(&[], 10);
        say(&mut speech, Some(USER), 1..8);
        let message = audio.try_recv().unwrap();
        assert_eq!(
            (message.guild_id, message.channel_id, message.user_id),
            (1, 2, USER)
        );
        assert_eq!(message.recording_id, "id");
        assert_eq!(sequences(&message), [1, 2, 3, 4, 5]);
        assert!(audio.try_recv().is_err());
        speech.moved(3);
        let users = HashMap::from([(SSRC, USER)]);
        speech.tick(Instant::now() + Duration::from_millis(120), &users);
        let message = audio.try_recv().unwrap();
        assert_eq!(sequences(&message), [6, 7]);
        assert_eq!(message.channel_id, 3);
        let silence = Packet {
            data: Bytes::from_static(&SILENCE),
            ..packet(8)
        };
        speech.packet(Instant::now(), SSRC, Some(USER), silence);
        assert_eq!(audio.try_recv().unwrap().frames[0].data, [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_is_wanted_is_heard() {
        let (mut speech, mut audio) = speech(&[7], 10);
        say(&mut speech, Some(USER), 1..20);
        assert!(audio.try_recv().is_err());
        say(&mut speech, Some(7), 1..6);
        assert_eq!(audio.try_recv().unwrap().user_id, 7);
        assert_eq!(speech.tally.dropped(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_wait_until_it_is_known_whose_they_are() {
        let (mut speech, mut audio) = speech(&[], 10);
        say(&mut speech, None, 1..61);
        assert_eq!(speech.tally.dropped(), 10);
        say(&mut speech, Some(USER), 61..62);
        let first = audio.try_recv().unwrap();
        assert_eq!(first.frames.len(), 51);
        assert_eq!(first.frames[0].sequence, 11);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_counted() {
        let (mut speech, mut audio) = speech(&[], 1);
        say(&mut speech, Some(USER), 1..21);
        assert_eq!(speech.tally.dropped(), 15);
        assert_eq!(sequences(&audio.try_recv().unwrap()), [1, 2, 3, 4, 5]);
        say(&mut speech, Some(USER), 21..23);
        speech.end(&HashMap::from([(SSRC, USER)]));
        assert_eq!(sequences(&audio.try_recv().unwrap()), [21, 22]);
        assert_eq!(speech.tally.dropped(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_have_a_bound() {
        let (mut speech, _audio) = speech(&[], 10_000);
        for ssrc in 0..1010 {
            speech.packet(Instant::now(), ssrc, Some(USER), packet(1));
        }
        assert_eq!((speech.voices.len(), speech.tally.dropped()), (1000, 10));
        speech.tick(Instant::now() + FORGOTTEN, &HashMap::new());
        assert_eq!(speech.voices.len(), 0);
    }
}
