//! Frames like those that Discord sends, made up from a fixed seed: with the members that clients
//! see, documented or not, and in the order that Discord writes them.

use std::fmt::Write;

/// One frame, as it comes off the websocket.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it counts as in the tables of results.
    pub kind: Kind,
    /// The event's name.
    pub name: &'static str,
    /// The whole frame.
    pub frame: String,
}

impl Event {
    /// The payload's text.
    pub fn payload(&self) -> &str {
        let start = self.frame.find("\"d\":").map_or(0, |at| at + 4);
        self.frame
            .get(start..self.frame.len() - 1)
            .unwrap_or_default()
    }
}

/// The kinds that are told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `GUILD_CREATE` with 130 channels, 70 roles, 670 members and 170 presences: 600 kB.
    Guild,
    /// `GUILD_CREATE` with 200 channels, 100 roles, 1000 members and 250 presences.
    GuildLarge,
    /// `INTERACTION_CREATE`.
    Interaction,
    /// `GUILD_MEMBER_UPDATE`.
    Member,
    /// `MESSAGE_CREATE` with embeds, attachments and mentions.
    MessageBig,
    /// `MESSAGE_DELETE`.
    MessageDelete,
    /// `MESSAGE_CREATE` with text alone.
    MessageSmall,
    /// `PRESENCE_UPDATE`.
    Presence,
    /// `MESSAGE_REACTION_ADD`.
    Reaction,
    /// `TYPING_START`.
    Typing,
    /// `VOICE_STATE_UPDATE`.
    Voice,
}

/// The kinds of the mix, with their shares in percent.
pub const MIX: [(Kind, usize); 9] = [
    (Kind::Presence, 45),
    (Kind::MessageSmall, 14),
    (Kind::MessageBig, 6),
    (Kind::Typing, 15),
    (Kind::Member, 8),
    (Kind::Voice, 5),
    (Kind::Reaction, 5),
    (Kind::Interaction, 1),
    (Kind::MessageDelete, 1),
];

/// How many things of each kind a guild has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) channels: u64,
    pub(crate) roles: u64,
    pub(crate) members: u64,
    pub(crate) presences: u64,
}

const GUILD: Size = Size {
    channels: 130,
    roles: 70,
    members: 670,
    presences: 170,
};

const GUILD_LARGE: Size = Size {
    channels: 200,
    roles: 100,
    members: 1000,
    presences: 250,
};

/// A generator of events; the same seed gives the same ones.
#[derive(Debug)]
pub struct Corpus {
    state: u64,
    sequence: u64,
}

impl Corpus {
    /// A corpus of its own.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            sequence: 0,
        }
    }

    /// `count` events of the mix, in a random order with exact shares.
    pub fn mix(&mut self, count: usize) -> Vec<Event> {
        let mut kinds = Vec::new();
        while kinds.len() < count {
            let start = kinds.len();
            for (kind, share) in MIX {
                kinds.extend(std::iter::repeat_n(kind, share));
            }
            for index in start..kinds.len() {
                let other = start + self.below((kinds.len() - start) as u64) as usize;
                kinds.swap(index, other);
            }
        }
        kinds.truncate(count);
        kinds.into_iter().map(|kind| self.event(kind)).collect()
    }

    /// `count` events of one kind.
    pub fn of(&mut self, kind: Kind, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event(kind)).collect()
    }

    /// One event.
    pub fn event(&mut self, kind: Kind) -> Event {
        let (name, payload) = match kind {
            Kind::Guild => ("GUILD_CREATE", self.guild(GUILD)),
            Kind::GuildLarge => ("GUILD_CREATE", self.guild(GUILD_LARGE)),
            Kind::Interaction => ("INTERACTION_CREATE", self.interaction()),
            Kind::Member => ("GUILD_MEMBER_UPDATE", self.member_update()),
            Kind::MessageBig => ("MESSAGE_CREATE", self.message_big()),
            Kind::MessageDelete => ("MESSAGE_DELETE", self.message_delete()),
            Kind::MessageSmall => ("MESSAGE_CREATE", self.message_small()),
            Kind::Presence => ("PRESENCE_UPDATE", self.presence(true)),
            Kind::Reaction => ("MESSAGE_REACTION_ADD", self.reaction()),
            Kind::Typing => ("TYPING_START", self.typing()),
            Kind::Voice => ("VOICE_STATE_UPDATE", self.voice(true)),
        };
        self.sequence += 1;
        let sequence = self.sequence;
        let frame = format!(r#"{{"t":"{name}","s":{sequence},"op":0,"d":{payload}}}"#);
        Event { kind, name, frame }
    }

    // Values.

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A snowflake of the last years.
    pub(crate) fn id(&mut self) -> u64 {
        self.below(400_000_000_000_000_000) + 900_000_000_000_000_000
    }

    /// One of some guilds.
    pub(crate) fn guild_id(&mut self) -> u64 {
        81_384_788_765_712_384 + self.below(500) * 4_194_304
    }

    /// The hash of a picture, or null.
    pub(crate) fn hash(&mut self, percent: u64) -> String {
        if !self.chance(percent) {
            return "null".to_owned();
        }
        let animated = if self.chance(15) { "a_" } else { "" };
        format!("\"{animated}{:016x}{:016x}\"", self.next(), self.next())
    }

    pub(crate) fn time(&mut self) -> String {
        let (year, month, day) = (
            2017 + self.below(10),
            self.below(12) + 1,
            self.below(28) + 1,
        );
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        let micros = self.below(999_000) + 1000;
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
    }

    pub(crate) fn ids(&mut self, most: u64) -> String {
        let count = self.below(most + 1);
        let ids: Vec<String> = (0..count).map(|_| format!("\"{}\"", self.id())).collect();
        ids.join(",")
    }

    /// Some words, now and then with what needs an escape or more than one byte.
    pub(crate) fn words(&mut self, count: u64) -> String {
        const WORDS: [&str; 24] = [
            "the", "server", "music", "play", "hello", "anyone", "know", "how", "to", "fix",
            "this", "error", "when", "starting", "update", "really", "lol", "good", "morning",
            "raid", "tonight", "at", "nine", "everyone",
        ];
        let mut text = String::new();
        for index in 0..count {
            if index > 0 {
                text.push(' ');
            }
            match self.below(60) {
                0 => text.push_str("\\n"),
                1 => text.push_str("\\\"quoted\\\""),
                2 => text.push('\u{1f600}'),
                3 => text.push_str("stra\u{df}e"),
                4 => write!(text, "<@{}>", self.id()).unwrap_or_default(),
                _ => text.push_str(self.pick(&WORDS)),
            }
        }
        text
    }

    pub(crate) fn name(&mut self) -> String {
        let (first, last) = (
            self.pick(&["night", "super", "quiet", "red", "lucky", "frozen"]),
            self.pick(&["wolf", "panda", "coder", "star", "raven", "moon"]),
        );
        format!("{first}{last}{}", self.below(10_000))
    }
}
