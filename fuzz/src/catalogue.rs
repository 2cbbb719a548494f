//! What inputs can be about: the events and messages of the contract, and what reads and writes them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use prost_reflect::MessageDescriptor;
use transcode::Transcoder;
use wire::event::EventKind;

use crate::render::is_own;

/// All that is compiled once.
#[derive(Debug)]
pub struct Catalogue {
    /// What is tested.
    pub transcoder: Transcoder,
    /// The events that the contract knows.
    pub events: Vec<EventKind>,
    /// The messages that stand for an object of Discord's, and keep what they have no field for.
    pub messages: Vec<MessageDescriptor>,
    /// The names of all their members.
    pub names: Vec<String>,
}

/// What an input is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'i> {
    /// An event that the contract knows.
    Event(&'static EventKind),
    /// A message.
    Message(&'static MessageDescriptor),
    /// An event that it does not know.
    Unknown(&'i str),
}

impl Catalogue {
    /// The only one.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Catalogue> = LazyLock::new(Catalogue::new);
        &SHARED
    }

    fn new() -> Self {
        let messages: Vec<_> = wire::descriptors()
            .all_messages()
            .filter(|message| message.fields().filter(is_own).count() == 3)
            .collect();
        let fields = messages.iter().flat_map(MessageDescriptor::fields);
        let names: BTreeSet<_> = fields.map(|field| field.name().to_owned()).collect();
        Self {
            transcoder: Transcoder::new(),
            events: wire::event::events(),
            messages,
            names: names.into_iter().collect(),
        }
    }

    /// What an input's first line names: an event, a message by its full name, or with a question
    /// mark before it an event that nobody knows. Any other line stands for one of the first two.
    pub fn subject<'i>(&'static self, line: &'i [u8]) -> Subject<'i> {
        let line = std::str::from_utf8(line).unwrap_or_default();
        if let Some(name) = line.strip_prefix('?')
            && !self.events.iter().any(|event| event.name == name)
        {
            return Subject::Unknown(name);
        }
        let event = self.events.iter().find(|event| event.name == line);
        let message = self.messages.iter().find(|each| each.full_name() == line);
        match (event, message) {
            (Some(event), _) => Subject::Event(event),
            (_, Some(message)) => Subject::Message(message),
            _ => self.any(line),
        }
    }

    /// One of all events and messages, always the same for one line.
    fn any(&'static self, line: &str) -> Subject<'static> {
        let hash = line.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let index = (hash >> 8) as usize % (self.events.len() + self.messages.len());
        match self.events.get(index) {
            Some(event) => Subject::Event(event),
            None => Subject::Message(&self.messages[index - self.events.len()]),
        }
    }
}

impl<'i> Subject<'i> {
    /// The line that names it.
    pub fn line(&self) -> String {
        match self {
            Self::Event(event) => event.name.clone(),
            Self::Message(message) => message.full_name().to_owned(),
            Self::Unknown(name) => format!("?{name}"),
        }
    }

    /// The message that its JSON becomes.
    pub fn message(&self) -> Option<&'static MessageDescriptor> {
        match self {
            Self::Event(event) => Some(&event.message),
            Self::Message(message) => Some(message),
            Self::Unknown(_) => None,
        }
    }
}

/// An input's first line, and what is behind it.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let line = parts.next().unwrap_or_default();
    (line, parts.next().unwrap_or_default())
}
