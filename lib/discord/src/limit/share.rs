//! What the replicas of an application tell each other of its limits, by way of a store.
//!
//! A replica reports for each window how many of its permits are out and what was answered since its last report, and asks for
//! more. The store counts for all: a permit is out until its answer is reported, or until so much time has passed that there will
//! be none, and after that it counts for one window more. As the number that is out is told as a whole, and not what has changed,
//! a report that got lost leaves nothing behind.

use std::{sync::Arc, time::Duration};

use xxhash_rust::xxh3::xxh3_128;

/// The name of the window that covers the whole application.
pub(super) const GLOBAL: &str = "global";
/// From this length on a window is known by a fingerprint.
const LONG: usize = 200;

/// Who reports.
#[derive(Clone, Debug)]
pub struct Member {
    /// What no other process is called, not even this one after a restart.
    pub replica: String,
    /// What tells whether the bot token is the same, as [`fingerprint`] makes it.
    pub token: String,
    /// After so much time a permit of which nothing more is heard counts as answered: longer than a request can take.
    pub flight: Duration,
}

/// What one replica has to say, and to ask for, in one round trip.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// A line for each window.
    pub lines: Vec<Line>,
    /// What was learned of buckets.
    pub learned: Vec<Learned>,
    /// Whether Discord has refused the bot token.
    pub revoked: bool,
}

/// A report about one window.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name, without secrets.
    pub window: String,
    /// What is known of its limit.
    pub shape: Shape,
    /// Permits of this replica that are out: of requests without an answer, and such as were not used so far.
    pub out: u32,
    /// How many more are asked for.
    pub wanted: u32,
    /// How long ago requests were answered, those that were not reported before.
    pub answered: Vec<Duration>,
    /// For how long Discord has asked to send nothing.
    pub blocked: Duration,
    /// The same for limits within the bucket that no header shows.
    pub holds: Vec<(Arc<str>, Duration)>,
}

/// What is known of a window's limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A bucket's, by its name; a window of the same bucket has the same.
    Bucket(Arc<str>, u32, Duration),
    /// Given.
    Fixed(u32, Duration),
    /// That of a route whose bucket is unknown: one request at a time, unless somebody else knows more.
    Route(Arc<str>),
}

/// A bucket, and a route that belongs to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Learned {
    /// The route.
    pub route: Arc<str>,
    /// Discord's name of the bucket.
    pub bucket: Arc<str>,
    /// Requests in each window.
    pub limit: u32,
    /// The window.
    pub length: Duration,
}

/// What the store answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// One for each line, in the same order.
    pub outcomes: Vec<Outcome>,
    /// How many replicas are alive, this one included.
    pub replicas: u32,
    /// Whether some replica has found that Discord refuses the bot token.
    pub revoked: bool,
}

/// What the store answers to a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How many permits it gives.
    pub granted: u32,
    /// If there were not enough, when to ask again.
    pub wait: Duration,
    /// For how long nothing may be sent.
    pub blocked: Duration,
    /// The bucket with limit and window, if the store knows one.
    pub bucket: Option<(Arc<str>, u32, Duration)>,
    /// For how long limits within the bucket that no header shows let nothing through.
    pub holds: Vec<(Arc<str>, Duration)>,
}

/// How soon the next report should be made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Need {
    /// There is nothing to say.
    None,
    /// Some milliseconds make no difference.
    Soon,
    /// Something waits for it.
    Now,
}

impl Line {
    /// A line that says nothing yet.
    pub const fn new(window: String, shape: Shape) -> Self {
        Self {
            window,
            shape,
            out: 0,
            wanted: 0,
            answered: Vec::new(),
            blocked: Duration::ZERO,
            holds: Vec::new(),
        }
    }
}

/// The name of a window: the bucket or route, and the channel, guild or webhook. A token is not shown.
pub(super) fn window(name: &str, major: &str) -> String {
    if major.matches('/').count() > 1 || name.len() + major.len() > LONG {
        let fingerprint = xxh3_128(format!("{name} {major}").as_bytes());
        return format!("{fingerprint:032x}");
    }
    format!("{name} {major}").trim_end().replace(' ', ":")
}

/// What stands for a secret where others can read it: it tells whether it is the same, and nothing else.
pub fn fingerprint(secret: &str) -> String {
    format!("{:032x}", xxh3_128(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn a_window_is_named_by_what_it_is_for_and_shows_no_token() {
        assert_eq!(window("a1b2", "channels/5"), "a1b2:channels/5");
        assert_eq!(window("GET gateway/bot", ""), "GET:gateway/bot");
        for major in ["webhooks/5/tok", "interactions/5/tok"] {
            let name = window("a1b2", major);
            assert!(name.len() == 32 && !name.contains("tok"), "{name}");
        }
        assert_eq!(window(&"x".repeat(2000), "").len(), 32);
        assert_ne!(window("a", "webhooks/5/x"), window("a", "webhooks/5/y"));
    }
}
