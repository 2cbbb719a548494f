//! Packets of one speaker in the order of their numbers, and at their moments of the call.
//!
//! A packet waits for those before it until eight others have come or 100 ms are over; then these are lost. The
//! moment of a packet is that of its arrival after a pause, and within speech that of its timestamp, so that the
//! network's unrest is not recorded.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

/// How long a frame is.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// Samples of a frame.
pub(crate) const SAMPLES: u32 = 960;
/// Opus for 20 ms of silence. Clients send it when a speaker pauses.
pub(crate) const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Packets that wait for one before them.
const DEPTH: usize = 8;
/// How long they wait.
const PATIENCE: Duration = Duration::from_millis(100);
/// Numbers that are further away are those of another stream.
const FAR: u64 = 1000;
/// A longer time without packets is a pause.
const PAUSE: Duration = Duration::from_millis(300);

/// One packet, with what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) data: Bytes,
    /// How many times 20 ms after the beginning of the recording it is.
    pub(crate) place: u64,
}

/// A packet as it came.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) data: Bytes,
}

/// The packets of one speaker.
#[derive(Debug)]
pub(crate) struct Order {
    /// When the recording began.
    began: Instant,
    /// The number of the next packet, as if numbers had no end.
    next: Option<u64>,
    held: BTreeMap<u64, (Instant, Packet)>,
    last: Option<Last>,
}

/// What was given last.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    timestamp: u32,
    place: u64,
    is_silent: bool,
}

impl Order {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            next: None,
            held: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes a packet, and gives those that are next.
    pub(crate) fn push(&mut self, now: Instant, packet: Packet) -> Vec<Frame> {
        let mut given = Vec::new();
        let mut number = self.number(packet.sequence);
        if self.next.is_some_and(|next| number.abs_diff(next) > FAR) {
            given = self.rest();
            self.next = None;
            number = self.number(packet.sequence);
        }
        if number < *self.next.get_or_insert(number) {
            return given;
        }
        self.held.entry(number).or_insert((now, packet));
        given.extend(self.due(now));
        given
    }

    /// Gives those that have waited long enough.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Frame> {
        let mut given = Vec::new();
        while let Some(first) = self.held.first_entry() {
            let is_next = Some(*first.key()) == self.next;
            let is_over = now.saturating_duration_since(first.get().0) >= PATIENCE;
            if !is_next && !is_over && self.held.len() <= DEPTH {
                break;
            }
            given.extend(self.give());
        }
        given
    }

    /// Gives all.
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.give()).collect()
    }

    fn give(&mut self) -> Option<Frame> {
        let (number, (at, packet)) = self.held.pop_first()?;
        self.next = Some(number + 1);
        let place = self.place(at, packet.timestamp);
        self.last = Some(Last {
            at,
            timestamp: packet.timestamp,
            place,
            is_silent: packet.data == SILENCE[..],
        });
        Some(Frame {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            data: packet.data,
            place,
        })
    }

    /// The number of a packet, near to that of the next one.
    fn number(&self, sequence: u16) -> u64 {
        let Some(next) = self.next else {
            // Far from zero, so that there is room before it.
            return u64::from(sequence) + (1 << 32);
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the last 16 bits are wanted"
        )]
        let ahead = sequence.wrapping_sub(next as u16).cast_signed();
        next.saturating_add_signed(ahead.into())
    }

    fn place(&self, at: Instant, timestamp: u32) -> u64 {
        let passed = at.saturating_duration_since(self.began).as_millis() / FRAME.as_millis();
        let clock = u64::try_from(passed).unwrap_or(u64::MAX);
        let Some(last) = self.last else {
            return clock;
        };
        let ahead = timestamp.wrapping_sub(last.timestamp) / SAMPLES;
        let is_pause = last.is_silent || at.saturating_duration_since(last.at) > PAUSE;
        match ahead {
            1..=50 if !is_pause => last.place + u64::from(ahead),
            _ => clock.max(last.place + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u32) -> Packet {
        let [.., high, low] = number.to_be_bytes();
        Packet {
            sequence: u16::from_be_bytes([high, low]),
            timestamp: number.wrapping_mul(SAMPLES),
            data: Bytes::from(vec![1; 10]),
        }
    }

    fn sequences(frames: &[Frame]) -> Vec<u16> {
        frames.iter().map(|frame| frame.sequence).collect()
    }

    fn push_all(order: &mut Order, now: Instant, numbers: &[u32]) -> Vec<u16> {
        let each = numbers
            .iter()
            .flat_map(|number| order.push(now, packet(*number)));
        each.map(|frame| frame.sequence).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn packets_come_out_in_order_and_once() {
        let now = Instant::now();
        let mut order = Order::new(now);
        let given = push_all(&mut order, now, &[7, 9, 8, 8, 7, 10]);
        assert_eq!(given, [7, 8, 9, 10]);
        // Numbers begin anew after 65,535.
        let mut order = Order::new(now);
        let given = push_all(&mut order, now, &[65_534, 65_536, 65_535, 65_537]);
        assert_eq!(given, [65_534, 65_535, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_is_not_waited_for_without_end() {
        let now = Instant::now();
        let mut order = Order::new(now);
        let given = push_all(&mut order, now, &[1, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(given, [1]);
        assert_eq!(
            push_all(&mut order, now, &[11]),
            [3, 4, 5, 6, 7, 8, 9, 10, 11]
        );
        // Too late.
        assert_eq!(push_all(&mut order, now, &[2]), [0; 0]);
        assert_eq!(push_all(&mut order, now, &[13]), [0; 0]);
        assert!(order.due(now + Duration::from_millis(99)).is_empty());
        assert_eq!(sequences(&order.due(now + PATIENCE)), [13]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_speaker_that_begins_anew_is_followed() {
        let now = Instant::now();
        let mut order = Order::new(now);
        assert_eq!(push_all(&mut order, now, &[1, 3]), [1]);
        assert_eq!(
            push_all(&mut order, now, &[30_000, 30_001]),
            [3, 30_000, 30_001]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn speech_is_placed_by_its_timestamps_and_what_follows_a_pause_by_the_clock() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut order = Order::new(began);
        let mut place = |millis, packet| order.push(at(millis), packet)[0].place;
        assert_eq!(place(1000, packet(1)), 50);
        // Late, and then two at once.
        assert_eq!(place(1090, packet(2)), 51);
        assert_eq!(place(1090, packet(3)), 52);
        let silence = Packet {
            data: Bytes::from_static(&SILENCE),
            ..packet(4)
        };
        assert_eq!(place(1100, silence), 53);
        // Timestamps stand still while nothing is said.
        assert_eq!(place(5000, packet(5)), 250);
        // A pause that was not announced.
        assert_eq!(place(9000, packet(6)), 450);
        // A clock that has not moved on.
        assert_eq!(place(9000, packet(5000)), 451);
    }
}
