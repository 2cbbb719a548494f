//! A file's packets, read before they are due, so that the thread that mixes never waits for a disk or a network.
//!
//! Whenever half of what may be held is played, a thread that may block reads on. What does not come in time is
//! silence, until it comes. A seek that leads nowhere leaves the track where it is: songbird would end it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use symphonia::core::{
    codecs::CODEC_TYPE_OPUS,
    errors::{Error, Result, SeekErrorKind, seek_error, unsupported_error},
    formats::{Cue, FormatOptions, FormatReader, Packet, SeekMode, SeekTo, SeekedTo, Track},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::{Metadata, MetadataLog},
    units::TimeBase,
};
use tokio::runtime::Handle;

use crate::{
    Error as Failure, Health,
    demuxer::{Demuxer, is_end},
    guard::guarded,
    media::Stop,
};

/// Packets that are held at most, however small they are.
const PACKETS: usize = 2048;
/// Packets that are read before a track begins.
const FIRST: usize = 8;
/// Seconds that the first packet may have.
const BEGINNING: u64 = 2;
/// Opus for 20 ms of silence: unlike no packet at all, it is passed on as it is.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// A demuxer that is read in advance.
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    known: Known,
    metadata: MetadataLog,
    /// Where the next packet is.
    here: u64,
    runtime: Handle,
    /// Ends what waits for the network when the track is dropped.
    _stop: Stop,
}

/// What is known of a track before it is played.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) track: Track,
    pub(crate) time_base: TimeBase,
    pub(crate) seekable: bool,
    pub(crate) duration: Option<Duration>,
}

/// What those who read and those who play have in common.
struct Shared {
    state: Mutex<State>,
    /// Tells that the demuxer is back.
    back: Condvar,
    /// Bytes that are held at most.
    bytes: usize,
    health: Health,
}

struct State {
    /// Absent while somebody reads.
    demuxer: Option<Demuxer>,
    packets: VecDeque<Packet>,
    /// Their bytes.
    bytes: usize,
    /// Whether nothing follows them.
    ended: bool,
    /// Whether who reads is to stop.
    wanted: bool,
}

impl Known {
    /// How long so much of the track is.
    fn time(&self, units: u64) -> Duration {
        let time = self.time_base.calc_time(units);
        Duration::from_secs(time.seconds) + Duration::from_secs_f64(time.frac)
    }
}

impl Ahead {
    /// Reads the first packets, and has more read. Blocks.
    ///
    /// # Errors
    ///
    /// When the file breaks off at once.
    pub(crate) fn new(
        mut demuxer: Demuxer,
        known: Known,
        (bytes, health): (usize, Health),
        (runtime, stop): (Handle, Stop),
    ) -> Result<Self> {
        let state = State {
            demuxer: None,
            packets: VecDeque::new(),
            bytes: 0,
            ended: false,
            wanted: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            back: Condvar::new(),
            bytes,
            health,
        };
        let mut ahead = Self {
            shared: Arc::new(shared),
            known,
            metadata: MetadataLog::default(),
            here: 0,
            runtime,
            _stop: stop,
        };
        ahead.first(&mut demuxer, 0)?;
        ahead.shared.put_back(demuxer);
        Ok(ahead)
    }

    /// The number that songbird knows the track by.
    pub(crate) fn track(&self) -> u32 {
        self.known.track.id
    }

    /// The first packets that wait.
    pub(crate) fn peek(&self) -> Vec<Packet> {
        let state = self.shared.lock();
        state.packets.iter().take(FIRST).cloned().collect()
    }

    /// Has a thread read on when too little waits. Does not block.
    pub(crate) fn refill(&self) {
        let mut state = self.shared.lock();
        if !self.shared.is_low(&state) {
            return;
        }
        if let Some(demuxer) = state.demuxer.take() {
            let shared = Arc::clone(&self.shared);
            self.runtime.spawn_blocking(move || shared.fill(demuxer));
        }
    }

    /// Reads the first packets from where the demuxer is, without those before `from`.
    fn first(&mut self, demuxer: &mut Demuxer, from: u64) -> Result<()> {
        let mut first = Vec::new();
        let mut ended = false;
        while first.len() < FIRST && !ended {
            let packets = guarded(|| demuxer.read())?;
            ended = packets.is_empty();
            let packets = packets.into_iter();
            first.extend(
                packets.filter(|it| it.dur() == 0 || it.ts().saturating_add(it.dur()) > from),
            );
        }
        let mut state = self.shared.lock();
        state.packets.clear();
        state.bytes = 0;
        state.ended = ended;
        self.here = first.first().map_or(from, Packet::ts);
        state.add(first);
        Ok(())
    }

    /// Why the place cannot be gone to, as far as that is known.
    fn objection(&self, place: u64) -> Option<Failure> {
        if !self.known.seekable {
            return Some(Failure::Unseekable);
        }
        let time = self.known.time(place);
        let ends = self.known.duration.filter(|duration| time > *duration);
        ends.map(|duration| Failure::PastEnd(Some(duration)))
    }

    /// Goes there, and back when there is nothing. Blocks.
    fn go(&mut self, place: u64) -> Result<()> {
        let back = self.here;
        let mut demuxer = self.shared.borrow();
        let refusal = match self.reach(&mut demuxer, place) {
            Ok(true) => None,
            Ok(false) => Some(Failure::PastEnd(self.known.duration)),
            Err(error) => Some(self.refusal(&error)),
        };
        let mut gone = Ok(true);
        if let Some(refusal) = refusal {
            self.shared.health.refuse_seek(refusal);
            gone = self.reach(&mut demuxer, back);
        }
        self.shared.put_back(demuxer);
        gone.map(drop)
    }

    /// Whether there is sound at this place.
    fn reach(&mut self, demuxer: &mut Demuxer, place: u64) -> Result<bool> {
        // symphonia's demuxer of FLAC loses its way when it goes back to the first frame.
        if self.seconds(place) < BEGINNING {
            demuxer.restart()?;
        }
        self.start_at(demuxer, place)?;
        let far = self.seconds(self.here).saturating_sub(self.seconds(place)) > 1;
        if far {
            // A format without an index, that was read beyond.
            demuxer.restart()?;
            self.start_at(demuxer, place)?;
        }
        Ok(!self.shared.lock().packets.is_empty())
    }

    fn start_at(&mut self, demuxer: &mut Demuxer, place: u64) -> Result<()> {
        if place > 0 {
            demuxer.seek(place)?;
        }
        self.first(demuxer, place)
    }

    fn seconds(&self, place: u64) -> u64 {
        self.known.time_base.calc_time(place).seconds
    }

    /// Why a demuxer did not go where it should.
    fn refusal(&self, error: &Error) -> Failure {
        match error {
            Error::SeekError(SeekErrorKind::Unseekable | SeekErrorKind::ForwardOnly) => {
                Failure::Unseekable
            }
            Error::SeekError(_) => Failure::PastEnd(self.known.duration),
            error if is_end(error) => Failure::PastEnd(self.known.duration),
            error => Failure::Broken(error.to_string()),
        }
    }

    /// A packet of a stream that follows the first one is one of the track that songbird knows.
    fn ours(&self, packet: Packet) -> Packet {
        let track = self.known.track.id;
        if packet.track_id() == track {
            return packet;
        }
        Packet::new_from_boxed_slice(track, packet.ts, packet.dur, packet.data)
    }

    fn silence(&self) -> Packet {
        self.shared.health.wait();
        let is_opus = self.known.track.codec_params.codec == CODEC_TYPE_OPUS;
        let silence: &[u8] = if is_opus { &SILENCE } else { &[] };
        Packet::new_from_slice(self.known.track.id, self.here, 0, silence)
    }
}

impl FormatReader for Ahead {
    fn try_new(_: MediaSourceStream, _: &FormatOptions) -> Result<Self> {
        unsupported_error("it is made of another demuxer")
    }

    fn cues(&self) -> &[Cue] {
        &[]
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.metadata.metadata()
    }

    fn seek(&mut self, _: SeekMode, to: SeekTo) -> Result<SeekedTo> {
        let required_ts = match to {
            SeekTo::Time { time, .. } => self.known.time_base.calc_timestamp(time),
            SeekTo::TimeStamp { ts, .. } => ts,
        };
        self.shared.health.moved();
        if let Some(objection) = self.objection(required_ts) {
            self.shared.health.refuse_seek(objection);
        } else if let Err(error) = self.go(required_ts) {
            self.shared.health.fail(Failure::Broken(error.to_string()));
            return seek_error(SeekErrorKind::Unseekable);
        }
        Ok(SeekedTo {
            track_id: self.known.track.id,
            required_ts,
            actual_ts: self.here,
        })
    }

    fn tracks(&self) -> &[Track] {
        std::slice::from_ref(&self.known.track)
    }

    /// Does not block.
    fn next_packet(&mut self) -> Result<Packet> {
        let mut state = self.shared.lock();
        let packet = state.packets.pop_front();
        let ended = state.ended;
        if let Some(packet) = &packet {
            state.bytes -= packet.buf().len();
            self.here = packet.ts().saturating_add(packet.dur());
        }
        drop(state);
        self.refill();
        match packet {
            Some(packet) => {
                self.shared.health.take(self.known.time(packet.dur()));
                Ok(self.ours(packet))
            }
            None if ended => Err(Error::IoError(io::ErrorKind::UnexpectedEof.into())),
            None => Ok(self.silence()),
        }
    }

    fn into_inner(self: Box<Self>) -> MediaSourceStream {
        empty()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.lock().wanted = true;
    }
}

impl Shared {
    /// Reads until as much is held as may be. Blocks.
    fn fill(&self, mut demuxer: Demuxer) {
        loop {
            let read = guarded(|| demuxer.read());
            let mut state = self.lock();
            match read {
                Ok(packets) if packets.is_empty() => state.ended = true,
                Ok(packets) => state.add(packets),
                Err(error) => {
                    self.health.fail(Failure::Broken(error.to_string()));
                    state.ended = true;
                }
            }
            let is_full = state.bytes >= self.bytes || state.packets.len() >= PACKETS;
            if state.ended || state.wanted || is_full {
                break;
            }
        }
        self.put_back(demuxer);
    }

    fn is_low(&self, state: &State) -> bool {
        let is_low = state.bytes < self.bytes / 2 && state.packets.len() < PACKETS / 2;
        is_low && !state.ended && !state.wanted
    }

    /// Waits for the demuxer. Blocks.
    fn borrow(&self) -> Demuxer {
        let mut state = self.lock();
        state.wanted = true;
        loop {
            if let Some(demuxer) = state.demuxer.take() {
                state.wanted = false;
                return demuxer;
            }
            let waited = self.back.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_back(&self, demuxer: Demuxer) {
        self.lock().demuxer = Some(demuxer);
        self.back.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, packets: Vec<Packet>) {
        self.bytes += packets.iter().map(|it| it.buf().len()).sum::<usize>();
        self.packets.extend(packets);
    }
}

/// A file without content.
pub(crate) fn empty() -> MediaSourceStream {
    let content = Box::new(io::Cursor::new([0; 0]));
    MediaSourceStream::new(content, MediaSourceStreamOptions::default())
}
