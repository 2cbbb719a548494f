//! What an operator can set, for every way that interactions come.

use std::time::Duration;

use boot::{Key, Reader};

use crate::pattern::Patterns;

/// Whether answers to interactions that come by gateway connections are taken as replies.
pub const REPLIES: Key = Key::new(
    "INTERACTION_REPLIES",
    "Whether workers answer interactions that come by gateway connections by replying to the event, as they do with gateway-http: \
     true or false. To be set alike for gateway-ws and gateway-api. Then what is not answered in time is deferred by gateway-api, so \
     workers that answer Discord by themselves have to do it before INTERACTION_DEFER_AFTER.",
)
.with_default("false");
/// When an interaction is deferred.
pub const DEFER_AFTER: Key = Key::new(
    "INTERACTION_DEFER_AFTER",
    "How long Discord waits for a worker's reply before the interaction is deferred. Discord gives up after 3s.",
)
.with_default("2s");
const MESSAGE: Key = Key::new(
    "INTERACTION_FAILURE_MESSAGE",
    "What a user reads, and nobody else, when no worker is there or its reply is of no use.",
)
.with_default("This did not work. Please try again later.");
const EPHEMERAL: Key = Key::new(
    "INTERACTION_EPHEMERAL",
    "Interactions whose deferred answer only the user is to see: patterns for the end of the routing key, such as \
     `command.config.#, modal.report`.",
);
const REMEMBERED: Key = Key::new(
    "INTERACTION_REMEMBERED",
    "How many interactions of the last 15 minutes are remembered, so that later replies find them; about 1 KiB each.",
)
.with_default("100000");

/// The keys of [`Settings`].
pub const KEYS: &[Key] = &[MESSAGE, EPHEMERAL, REMEMBERED];

/// The longest message that Discord takes, in characters.
const LONGEST_MESSAGE: usize = 2000;

/// What holds for all interactions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a user reads when nothing else can be said.
    pub message: String,
    /// What is deferred for the user alone.
    pub ephemeral: Patterns,
    /// How many interactions are remembered.
    pub remembered: usize,
}

impl Settings {
    /// Reads [`KEYS`]; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let message = read_message(reader);
        let ephemeral = reader.optional(&EPHEMERAL);
        let remembered = reader.in_range(&REMEMBERED, 100..=100_000_000);
        Some(Self {
            message: message?,
            ephemeral: ephemeral.unwrap_or_default(),
            remembered: remembered?,
        })
    }
}

/// Reads [`DEFER_AFTER`]; a mistake is noted in the reader.
pub fn defer_after(reader: &mut Reader) -> Option<Duration> {
    let most = Duration::from_millis(2700);
    reader.in_range(&DEFER_AFTER, Duration::from_millis(100)..=most)
}

fn read_message(reader: &mut Reader) -> Option<String> {
    let message: String = reader.or_default(&MESSAGE)?;
    if (1..=LONGEST_MESSAGE).contains(&message.chars().count()) {
        return Some(message);
    }
    let mistake = format!("expected 1 to {LONGEST_MESSAGE} characters, as Discord takes them");
    reader.mistake(&MESSAGE, mistake);
    None
}
