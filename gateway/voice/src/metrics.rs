//! What `/metrics` says of calls.

use boot::metrics::{Buckets, Counter, Family, Gauge, Histogram};
use sound::Taken;

/// Seconds of a tick: at 0.02 a thread takes as long as the sound is.
const MIXER: [f64; 9] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05,
];

/// The metrics of the calls; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: Gauge,
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    events: Family<[(&'static str, &'static str); 1], Counter>,
    events_dropped: Counter,
    handshakes: Histogram,
    connections: Family<[(&'static str, &'static str); 1], Counter>,
    losses: Family<[(&'static str, &'static str); 1], Counter>,
    tracks: Family<[(&'static str, &'static str); 1], Counter>,
    frames: Counter,
    frames_late: Counter,
    frames_lost: Counter,
    jitter: Histogram,
    mixer: Histogram,
    unheard: Counter,
    recordings: Gauge,
    received: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &boot::Metrics) -> Self {
        Self {
            calls: metrics.gauge("voice_calls", "Calls that this node holds"),
            requests: metrics.counters(
                "voice_requests",
                "Requests of workers, by what became of them",
            ),
            events: metrics.counters("voice_events", "Events of calls, by their names"),
            events_dropped: metrics.counter(
                "voice_events_dropped",
                "Events of calls that were dropped, as the broker took none",
            ),
            handshakes: metrics.histogram(
                "voice_handshake_seconds",
                "Time from the wish to be in a channel until sound can be sent",
                &Buckets::seconds(),
            ),
            connections: metrics.counters(
                "voice_connections",
                "Connections to voice servers that stood, by the reason for them",
            ),
            losses: metrics.counters(
                "voice_losses",
                "Connections to voice servers that ended, by the reason",
            ),
            tracks: metrics.counters("voice_tracks", "Tracks that ended, by how they did"),
            frames: metrics.counter(
                "voice_frames",
                "Frames of 20 ms that were taken of tracks to be sent",
            ),
            frames_late: metrics.counter(
                "voice_frames_late",
                "Frames that were taken more than 20 ms after their moment",
            ),
            frames_lost: metrics.counter(
                "voice_frames_lost",
                "Frames of silence that were sent, as the sound of a track had not come",
            ),
            jitter: metrics.histogram(
                "voice_jitter_seconds",
                "How far behind its moment the latest frame of each second of a track was",
                &Buckets::seconds(),
            ),
            mixer: metrics.histogram(
                "voice_mixer_seconds",
                "Time that a thread took for a tick of 20 ms of its calls, looked at each second",
                &Buckets::new(MIXER),
            ),
            unheard: metrics.counter(
                "voice_unheard",
                "Voice states and servers that a call had no room for",
            ),
            recordings: metrics.gauge("voice_recordings", "Calls that are being recorded"),
            received: metrics.counters(
                "voice_received_frames",
                "Frames of speakers that recordings got, by what became of them",
            ),
        }
    }

    /// There is one more call. It is counted until this is dropped.
    pub(crate) fn call(&self) -> Counted {
        self.calls.inc();
        Counted(self.calls.clone())
    }

    /// One more call is being recorded, until this is dropped.
    pub(crate) fn recording(&self) -> Counted {
        self.recordings.inc();
        Counted(self.recordings.clone())
    }

    /// So many frames were received and delivered, and so many were not.
    pub(crate) fn received(&self, delivered: u64, dropped: u64) {
        for (outcome, count) in [("delivered", delivered), ("dropped", dropped)] {
            let label = [("outcome", outcome)];
            self.received.get_or_create(&label).inc_by(count);
        }
    }

    /// A request came to this.
    pub(crate) fn request(&self, outcome: &'static str) {
        let label = [("outcome", outcome)];
        self.requests.get_or_create(&label).inc();
    }

    /// An event is told.
    pub(crate) fn event(&self, name: &'static str) {
        self.events.get_or_create(&[("event", name)]).inc();
    }

    /// An event was dropped.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// A connection stands after this time.
    pub(crate) fn connected(&self, reason: &'static str, seconds: f64) {
        self.handshakes.observe(seconds);
        self.connections.get_or_create(&[("reason", reason)]).inc();
    }

    /// A connection has ended.
    pub(crate) fn lost(&self, reason: &'static str) {
        self.losses.get_or_create(&[("reason", reason)]).inc();
    }

    /// A track has ended.
    pub(crate) fn track(&self, reason: &'static str) {
        self.tracks.get_or_create(&[("reason", reason)]).inc();
    }

    /// So much of a track was sent.
    pub(crate) fn sent(&self, taken: &Taken) {
        if taken.frames == 0 {
            return;
        }
        self.frames.inc_by(taken.frames);
        self.frames_late.inc_by(taken.late);
        self.frames_lost.inc_by(taken.missing);
        self.jitter.observe(taken.behind.as_secs_f64());
    }

    /// A thread took so long for a tick.
    pub(crate) fn mixed(&self, seconds: f64) {
        self.mixer.observe(seconds);
    }

    /// News for a call were dropped.
    pub(crate) fn unheard(&self) {
        self.unheard.inc();
    }
}

/// A call or a recording that is counted.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
