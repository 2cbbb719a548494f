//! The rules of one connection, in virtual time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Outgoing, Protocol, Step};
use crate::{
    config::Config,
    violations::{Breach, Kind},
};

const BEAT: &[u8] = br#"{"op":1,"d":null}"#;
const IDENTIFY: &[u8] = br#"{"op":2,"d":{"token":"t"}}"#;
const VOICE: &[u8] = br#"{"op":4,"d":{"guild_id":"1","channel_id":null}}"#;
const PRESENCE: &[u8] = br#"{"op":3,"d":{"status":"online"}}"#;
const OUTGOING: Outgoing = Outgoing {
    sent: 5,
    beat_requested: false,
};

struct Peer {
    protocol: Protocol,
    start: Instant,
    breaches: Vec<Breach>,
}

impl Peer {
    fn new() -> Self {
        let start = Instant::now();
        let config = Config {
            heartbeat_interval_ms: 40_000,
            ..Config::default()
        };
        Self {
            protocol: Protocol::new(start, &config),
            start,
            breaches: Vec::new(),
        }
    }

    fn send(&mut self, second: u64, payload: &[u8]) -> Step {
        let now = self.start + Duration::from_secs(second);
        self.protocol
            .on_payload(now, payload, OUTGOING, &mut self.breaches)
    }

    fn kinds(&self) -> Vec<Kind> {
        self.breaches.iter().map(|breach| breach.kind).collect()
    }
}

#[test]
fn heartbeats_are_due_once_per_interval() {
    let mut peer = Peer::new();
    assert_eq!(
        peer.protocol.deadline(),
        peer.start + Duration::from_secs(60)
    );
    assert!(matches!(peer.send(3, BEAT), Step::Acknowledge));
    peer.send(43, BEAT);
    assert!(peer.breaches.is_empty());
    peer.send(50, BEAT);
    peer.send(85, br#"{"op":1,"d":6}"#);
    assert_eq!(
        peer.kinds(),
        [Kind::HeartbeatEarly, Kind::HeartbeatSequence]
    );
}

#[test]
fn a_heartbeat_that_was_held_up_does_not_make_the_next_one_early() {
    let mut peer = Peer::new();
    for second in [3, 43, 110, 123] {
        peer.send(second, BEAT);
    }
    assert!(peer.breaches.is_empty());
    peer.send(140, BEAT);
    assert_eq!(peer.kinds(), [Kind::HeartbeatEarly]);
}

#[test]
fn a_requested_heartbeat_may_come_at_any_time() {
    let mut peer = Peer::new();
    peer.send(3, BEAT);
    let requested = Outgoing {
        beat_requested: true,
        ..OUTGOING
    };
    peer.protocol
        .on_payload(peer.start, BEAT, requested, &mut peer.breaches);
    assert!(peer.breaches.is_empty());
}

#[test]
fn the_first_payload_is_identify_and_comes_once() {
    let mut peer = Peer::new();
    assert!(matches!(peer.send(0, VOICE), Step::Close(4003, _)));
    assert!(matches!(peer.send(0, IDENTIFY), Step::Identify(_)));
    peer.protocol.identified();
    assert!(matches!(peer.send(0, IDENTIFY), Step::Close(4005, _)));
    assert!(matches!(peer.send(0, VOICE), Step::Request(_)));
}

#[test]
fn the_121st_payload_in_a_minute_is_too_much() {
    let mut peer = Peer::new();
    peer.protocol.identified();
    for _ in 0..120 {
        assert!(matches!(peer.send(1, VOICE), Step::Request(_)));
    }
    assert!(matches!(peer.send(60, VOICE), Step::Close(4008, _)));
    assert!(matches!(peer.send(62, VOICE), Step::Request(_)));
    assert_eq!(peer.kinds(), [Kind::SendRate]);
}

#[test]
fn six_presences_in_20_s_are_too_much() {
    let mut peer = Peer::new();
    peer.protocol.identified();
    for _ in 0..6 {
        assert!(matches!(peer.send(1, PRESENCE), Step::Nothing));
    }
    assert_eq!(peer.kinds(), [Kind::PresenceRate]);
}

#[test]
fn bad_payloads_close() {
    let mut peer = Peer::new();
    assert!(matches!(peer.send(0, b"hello"), Step::Close(4002, _)));
    assert!(matches!(
        peer.send(0, br#"{"op":77}"#),
        Step::Close(4001, _)
    ));
    assert!(matches!(peer.send(0, &[b' '; 4097]), Step::Close(4002, _)));
    let expected = [
        Kind::PayloadMalformed,
        Kind::PayloadUnknown,
        Kind::PayloadSize,
    ];
    assert_eq!(peer.kinds(), expected);
}
