//! Sound that comes in pieces: frames of 20 ms, counted, behind a bound.
//!
//! Frames that do not come in time are silence, since the sender may be a moment late: a stream ends when its
//! sender says so. Whoever waits for each answer never meets the bound: an answer means that there is room for
//! a whole request more.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use opus2::packet;
use tokio::sync::Notify;

use crate::Error;

/// How long a frame is.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// Samples of a frame, of one channel.
pub(crate) const SAMPLES: usize = 960;
/// Frames that one request may have.
const MOST: usize = 250;
/// Frames that may wait.
const ROOM: usize = 2 * MOST;
/// The longest frame of Opus that fits into a packet together with what encryption adds.
const LONGEST: usize = 1275;

/// The format of a stream's frames: 48 kHz, 20 ms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Packets of Opus.
    Opus,
    /// 16 bit little-endian samples of two channels, interleaved: 3,840 bytes.
    Pcm,
}

/// The half of a stream that is played.
#[derive(Debug)]
pub struct Stream {
    pub(crate) format: Format,
    pub(crate) queue: Arc<Queue>,
}

/// The half of a stream that is filled.
#[derive(Clone, Debug)]
pub struct StreamSender {
    format: Format,
    queue: Arc<Queue>,
}

/// The frames between both halves.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Tells senders that frames were taken, or that nobody will take any more.
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// The number of the next frame that comes.
    next: u64,
    /// Whether the sender has ended the stream.
    ended: bool,
    /// Whether nobody plays it any more.
    closed: bool,
}

/// What there is to play.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    End,
    Frame(Bytes),
    /// Nothing has come in time.
    Silence,
}

/// Makes both halves of a stream.
#[must_use]
pub fn stream(format: Format) -> (StreamSender, Stream) {
    let queue = Arc::<Queue>::default();
    let sender = StreamSender {
        format,
        queue: Arc::clone(&queue),
    };
    (sender, Stream { format, queue })
}

impl StreamSender {
    /// Adds frames, the first of which has the number `sequence`, and waits until there is room for as many as a
    /// request may have. Returns how much sound waits to be played. Dropping the future takes nothing back.
    ///
    /// # Errors
    ///
    /// When a frame has not the stream's format, the number is not that of the next frame, more frames come than
    /// there is room for, or the stream has ended: then no frame was added.
    pub async fn send(
        &self,
        sequence: u64,
        frames: Vec<Bytes>,
        end: bool,
    ) -> Result<Duration, Error> {
        if frames.len() > MOST {
            return Err(Error::Frames(frames.len()));
        }
        for (number, frame) in (sequence..).zip(&frames) {
            self.format.check(number, frame)?;
        }
        self.queue.add(sequence, frames, end)?;
        loop {
            // Asked for before looking, so that what happens in between is not missed.
            let taken = self.queue.taken.notified();
            {
                let state = self.queue.lock();
                if state.closed {
                    return Err(Error::Ended);
                }
                let waiting = state.frames.len();
                if waiting + MOST <= ROOM || state.ended {
                    return Ok(FRAME * u32::try_from(waiting).unwrap_or(u32::MAX));
                }
            }
            taken.await;
        }
    }
}

impl Queue {
    fn add(&self, sequence: u64, frames: Vec<Bytes>, end: bool) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed || state.ended {
            return Err(Error::Ended);
        }
        if sequence != state.next {
            return Err(Error::Sequence {
                expected: state.next,
                found: sequence,
            });
        }
        if state.frames.len() + frames.len() > ROOM {
            return Err(Error::Overrun(ROOM));
        }
        state.next += frames.len() as u64;
        state.frames.extend(frames);
        state.ended = end;
        Ok(())
    }

    /// The next frame, without waiting.
    pub(crate) fn take(&self) -> Next {
        let mut state = self.lock();
        let next = match state.frames.pop_front() {
            Some(frame) => Next::Frame(frame),
            None if state.ended => Next::End,
            None => Next::Silence,
        };
        drop(state);
        self.taken.notify_waiters();
        next
    }

    /// Nobody plays the stream any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.frames.clear();
        drop(state);
        self.taken.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Format {
    fn check(self, sequence: u64, frame: &[u8]) -> Result<(), Error> {
        let (format, reason) = match self {
            Self::Opus => ("packet of Opus", Self::opus(frame)),
            Self::Pcm => ("frame of PCM", Self::pcm(frame)),
        };
        reason.map_err(|reason| Error::Frame {
            sequence,
            format,
            reason,
        })
    }

    fn opus(frame: &[u8]) -> Result<(), String> {
        if frame.len() > LONGEST {
            return Err(format!("it has more than {LONGEST} bytes"));
        }
        let samples = packet::parse(frame).and_then(|_| packet::get_nb_samples(frame, 48_000));
        match samples {
            Ok(SAMPLES) => Ok(()),
            Ok(other) => Err(format!("it has {other} samples at 48 kHz, not {SAMPLES}")),
            Err(_) => Err("it is not made as RFC 6716 says".to_owned()),
        }
    }

    fn pcm(frame: &[u8]) -> Result<(), String> {
        match frame.len() {
            3840 => Ok(()),
            other => Err(format!("it has {other} bytes, not 3840")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SILENCE: Bytes = Bytes::from_static(&[0xf8, 0xff, 0xfe]);

    fn frames(count: usize) -> Vec<Bytes> {
        vec![SILENCE; count]
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_means_room_for_a_whole_request() {
        let (sender, stream) = stream(Format::Opus);
        let buffered = sender.send(0, frames(MOST), false).await;
        assert_eq!(buffered, Ok(Duration::from_secs(5)));
        let mut second = Box::pin(sender.send(250, frames(10), false));
        let soon = Duration::from_secs(1);
        assert!(timeout(soon, &mut second).await.is_err(), "no room yet");
        for _ in 0..9 {
            assert_eq!(stream.queue.take(), Next::Frame(SILENCE));
        }
        assert!(timeout(soon, &mut second).await.is_err(), "no room yet");
        stream.queue.take();
        assert_eq!(second.await, Ok(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_meets_the_bound() {
        let (sender, _stream) = stream(Format::Opus);
        sender.send(0, frames(MOST), false).await.unwrap();
        let sent = |sequence, count| {
            let sending = sender.send(sequence, frames(count), false);
            timeout(Duration::ZERO, sending)
        };
        assert!(sent(250, MOST).await.is_err(), "it waits");
        // What is refused is so at once: it does not wait for room.
        assert_eq!(sent(500, 1).await, Ok(Err(Error::Overrun(ROOM))));
        // What was refused was not counted.
        let (expected, found) = (500, 501);
        let refused = Err(Error::Sequence { expected, found });
        assert_eq!(sent(501, 1).await, Ok(refused));
    }

    #[tokio::test]
    async fn what_is_late_is_silence_and_the_end_is_said() {
        let (sender, stream) = stream(Format::Opus);
        assert_eq!(stream.queue.take(), Next::Silence);
        sender.send(0, frames(1), true).await.unwrap();
        assert_eq!(stream.queue.take(), Next::Frame(SILENCE));
        assert_eq!(stream.queue.take(), Next::End);
        assert_eq!(sender.send(1, frames(1), false).await, Err(Error::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_that_nobody_plays_it() {
        let (sender, stream) = stream(Format::Opus);
        sender.send(0, frames(MOST), false).await.unwrap();
        let (sent, ()) = tokio::join!(sender.send(250, frames(1), false), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(stream);
        });
        assert_eq!(sent, Err(Error::Ended));
    }

    #[tokio::test]
    async fn frames_that_are_none_are_refused() {
        let (opus, _stream) = stream(Format::Opus);
        let ten_ms: &[u8] = &[0xf0, 0xff, 0xfe];
        for wrong in [&[][..], &[0xff], ten_ms, &[0; 1276]] {
            let frames = vec![SILENCE, Bytes::copy_from_slice(wrong)];
            let error = opus.send(0, frames, false).await.unwrap_err();
            assert!(matches!(error, Error::Frame { sequence: 1, .. }), "{error}");
        }
        let (pcm, _stream) = stream(Format::Pcm);
        pcm.send(0, vec![vec![0; 3840].into()], false)
            .await
            .unwrap();
        let error = pcm.send(1, vec![SILENCE], false).await.unwrap_err();
        assert!(error.to_string().contains("3 bytes"), "{error}");
        let error = opus.send(0, frames(MOST + 1), false).await;
        assert_eq!(error, Err(Error::Frames(251)));
    }
}
