//! What a client may send when: phases, heartbeats and send limits of one connection. No input or output, no clock.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::payload::{self, Identify, Incoming, LARGEST, Mistake, Request, Resume};
use crate::{
    config::Config,
    violations::{Breach, Kind},
};

/// Sends allowed per connection and minute.
const SENDS: usize = 120;
const SEND_WINDOW: Duration = Duration::from_secs(60);
/// Presence updates allowed per 20 s.
const PRESENCES: usize = 5;
const PRESENCE_WINDOW: Duration = Duration::from_secs(20);
/// The shortest grace period for a heartbeat.
const LEAST_GRACE: Duration = Duration::from_millis(500);

/// One connection's rules.
#[derive(Debug)]
pub(crate) struct Protocol {
    identified: bool,
    interval: Duration,
    grace: Duration,
    /// When HELLO was sent or the last heartbeat came.
    last_beat: Instant,
    /// When the next heartbeat is due, if every one so far came at its time. One that was held up on
    /// its way does not make the next one early.
    due: Option<Instant>,
    /// When HELLO was sent.
    began: Instant,
    sends: VecDeque<Instant>,
    presences: VecDeque<Instant>,
}

/// What the connection has to do about a payload.
#[derive(Debug)]
pub(crate) enum Step {
    Acknowledge,
    Close(u16, &'static str),
    Identify(Box<Identify>),
    Nothing,
    Request(Request),
    Resume(Resume),
}

/// What the protocol has to know about the other direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    /// The newest sequence number that was sent on this connection.
    pub(crate) sent: u64,
    /// Whether a heartbeat was asked for by op 1.
    pub(crate) beat_requested: bool,
}

impl Protocol {
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        let interval = Duration::from_millis(config.heartbeat_interval_ms);
        let grace = config.heartbeat_grace_ms.map(Duration::from_millis);
        Self {
            identified: false,
            interval,
            grace: grace.unwrap_or_else(|| (interval / 2).max(LEAST_GRACE)),
            last_beat: now,
            due: None,
            began: now,
            sends: VecDeque::new(),
            presences: VecDeque::new(),
        }
    }

    /// When the client is taken for dead.
    pub(crate) fn deadline(&self) -> Instant {
        self.last_beat + self.interval + self.grace
    }

    /// The client has a session now.
    pub(crate) fn identified(&mut self) {
        self.identified = true;
    }

    /// Judges a payload.
    pub(crate) fn on_payload(
        &mut self,
        now: Instant,
        bytes: &[u8],
        outgoing: Outgoing,
        breaches: &mut Vec<Breach>,
    ) -> Step {
        let mut breach = |kind, text: String| breaches.push(Breach { kind, text });
        if bytes.len() > LARGEST {
            breach(
                Kind::PayloadSize,
                format!("a payload of {} bytes", bytes.len()),
            );
            return Step::Close(4002, "Payload too large.");
        }
        if exceeds(&mut self.sends, now, SENDS, SEND_WINDOW) && self.identified {
            breach(
                Kind::SendRate,
                format!("more than {SENDS} payloads within 60 s"),
            );
            return Step::Close(4008, "You are being rate limited.");
        }
        match payload::parse(bytes) {
            Err(Mistake::Malformed(text)) => {
                breach(Kind::PayloadMalformed, text);
                Step::Close(4002, "Error while decoding payload.")
            }
            Err(Mistake::Unknown(text)) => {
                breach(Kind::PayloadUnknown, text);
                Step::Close(4001, "Unknown opcode.")
            }
            Ok(Incoming::Heartbeat(seq)) => self.on_heartbeat(now, seq, outgoing, breaches),
            Ok(Incoming::Identify(_) | Incoming::Resume(_)) if self.identified => {
                let text = "Identify or Resume on a connection that has a session".to_owned();
                breach(Kind::PayloadUnexpected, text);
                Step::Close(4005, "Already authenticated.")
            }
            Ok(Incoming::Identify(identify)) => Step::Identify(identify),
            Ok(Incoming::Resume(resume)) => Step::Resume(resume),
            Ok(Incoming::Request(_)) if !self.identified => {
                breach(
                    Kind::PayloadUnexpected,
                    "a request before Identify".to_owned(),
                );
                Step::Close(4003, "Not authenticated.")
            }
            Ok(Incoming::Request(request)) => self.on_request(now, request, breaches),
        }
    }

    fn on_heartbeat(
        &mut self,
        now: Instant,
        seq: Option<u64>,
        outgoing: Outgoing,
        breaches: &mut Vec<Breach>,
    ) -> Step {
        // The first one is spread over the whole interval, and one on demand may come at any time.
        let due = self.due.get_or_insert(self.began);
        if now + self.interval / 4 >= *due {
            *due = (*due + self.interval).max(now);
        } else if !outgoing.beat_requested {
            let (early, interval) = (*due - now, self.interval);
            let text = format!(
                "a heartbeat {} ms too early; the interval is {} ms",
                early.as_millis(),
                interval.as_millis()
            );
            breaches.push(Breach::new(Kind::HeartbeatEarly, text));
        }
        if let Some(seq) = seq.filter(|seq| *seq > outgoing.sent) {
            let text = format!(
                "a heartbeat with sequence {seq}; {} was sent",
                outgoing.sent
            );
            breaches.push(Breach::new(Kind::HeartbeatSequence, text));
        }
        self.last_beat = now;
        Step::Acknowledge
    }

    fn on_request(&mut self, now: Instant, request: Request, breaches: &mut Vec<Breach>) -> Step {
        if matches!(request, Request::Presence) {
            if exceeds(&mut self.presences, now, PRESENCES, PRESENCE_WINDOW) {
                let text = format!("more than {PRESENCES} presence updates within 20 s");
                breaches.push(Breach::new(Kind::PresenceRate, text));
            }
            return Step::Nothing;
        }
        Step::Request(request)
    }
}

/// Counts a happening; whether there are more than `most` within the window.
fn exceeds(times: &mut VecDeque<Instant>, now: Instant, most: usize, window: Duration) -> bool {
    while times
        .front()
        .is_some_and(|then| now.saturating_duration_since(*then) >= window)
    {
        times.pop_front();
    }
    times.push_back(now);
    if times.len() > most + 1 {
        times.pop_front();
    }
    times.len() > most
}

#[cfg(test)]
mod tests;
