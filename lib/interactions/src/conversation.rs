//! What becomes of an interaction and of each reply to it, without I/O and without a clock.
//!
//! See [Discord Docs/Responding to an
//! Interaction](https://docs.discord.com/developers/interactions/receiving-and-responding#responding-to-an-interaction).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde_json::{Value, json};
use wire::discord::v1::{Interaction, InteractionCallbackType as Type, InteractionType};

use crate::reply::Reply;

/// The flag of a message that one user sees alone.
pub(crate) const EPHEMERAL: u32 = 1 << 6;

/// How many replies of one interaction are known again.
const SEEN: usize = 32;

/// How many things may wait to be done for one interaction.
const JOBS: usize = 16;

/// What kind of interaction it is, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A user writes an option.
    Autocomplete,
    /// A command.
    Command,
    /// A component of a message.
    Component,
    /// A modal that a component opened.
    ComponentModal,
    /// A modal that a command opened.
    Modal,
    /// Whether a user may buy something.
    Purchase,
    /// What this version does not know.
    Unknown,
}

/// How an interaction was put off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deferral {
    /// The user sees that a message will come.
    Message,
    /// The user sees nothing.
    Update,
}

impl Kind {
    /// The kind of an interaction.
    pub fn of(interaction: &Interaction) -> Self {
        match interaction.r#type() {
            InteractionType::ApplicationCommand => Self::Command,
            InteractionType::ApplicationCommandAutocomplete => Self::Autocomplete,
            InteractionType::MessageComponent => Self::Component,
            InteractionType::ModalSubmit if interaction.message.is_some() => Self::ComponentModal,
            InteractionType::ModalSubmit => Self::Modal,
            InteractionType::SocialLayerSkuPurchaseEligibility => Self::Purchase,
            InteractionType::Unspecified | InteractionType::Ping => Self::Unknown,
        }
    }

    /// Whether the answer may change the message that the interaction comes from.
    pub(crate) const fn has_message(self) -> bool {
        matches!(self, Self::Component | Self::ComponentModal)
    }

    /// A word for it, for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Autocomplete => "autocomplete",
            Self::Command => "command",
            Self::Component => "component",
            Self::ComponentModal | Self::Modal => "modal",
            Self::Purchase => "purchase",
            Self::Unknown => "unknown",
        }
    }

    /// What is answered when no worker's reply can be. `None`: Discord has nothing that would fit.
    pub fn apology(self, message: &str) -> Option<Value> {
        match self {
            Self::Autocomplete => Some(no_choices()),
            Self::Command | Self::Component | Self::ComponentModal | Self::Modal => Some(json!({
                "type": Type::ChannelMessageWithSource as i32,
                "data": {"content": message, "flags": EPHEMERAL},
            })),
            Self::Purchase | Self::Unknown => None,
        }
    }

    fn deferral(self) -> Option<Deferral> {
        match self {
            Self::Command | Self::Modal => Some(Deferral::Message),
            Self::Component | Self::ComponentModal => Some(Deferral::Update),
            Self::Autocomplete | Self::Purchase | Self::Unknown => None,
        }
    }
}

fn no_choices() -> Value {
    json!({"type": Type::ApplicationCommandAutocompleteResult as i32, "data": {"choices": []}})
}

/// One interaction, from when it comes until its token ends.
#[derive(Debug)]
pub(crate) struct Conversation {
    kind: Kind,
    /// Whether a deferred answer is for the user alone.
    ephemeral: bool,
    state: State,
    /// What replies are known by that have come.
    seen: Vec<u64>,
    jobs: VecDeque<Job>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Discord waits for the answer.
    Open,
    /// Discord knows that one will follow.
    Deferred(Deferral),
    /// Discord has one.
    Answered,
}

/// What becomes of a reply.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It is the answer.
    First(Box<Reply>),
    /// It is one of the jobs now.
    Later,
    /// There is nothing to do for it.
    Nothing,
    /// It cannot be carried out any more, and this is why.
    TooLate(&'static str),
    /// Too many wait already.
    TooMany,
}

/// What is to be done after the answer.
#[derive(Debug)]
pub(crate) enum Job {
    /// The user has to hear that nothing will come.
    Apologise(Deferral),
    /// The message of the answer gets this content. It is what was put off, if something was.
    Edit(Box<Reply>, Option<Deferral>),
    /// A further message; the same.
    Followup(Box<Reply>, Option<Deferral>),
}

impl Job {
    fn size(&self) -> usize {
        match self {
            Self::Apologise(_) => 0,
            Self::Edit(reply, _) | Self::Followup(reply, _) => reply.size(),
        }
    }
}

impl Conversation {
    pub(crate) fn new(kind: Kind, ephemeral: bool) -> Self {
        Self {
            kind,
            ephemeral,
            state: State::Open,
            seen: Vec::new(),
            jobs: VecDeque::new(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether Discord still waits for the answer.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether a user waits for what was put off, or something is to be done yet.
    pub(crate) fn is_owing(&self) -> bool {
        matches!(self.state, State::Deferred(_)) || !self.jobs.is_empty()
    }

    /// Whether something is to be done.
    pub(crate) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// How much the replies that wait take in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.jobs.iter().map(Job::size).sum()
    }

    /// Notes a reply by what it is known by; whether it is a new one. Those that have no name of their own can be told from
    /// others only when RabbitMQ says that they may have come before.
    pub(crate) fn is_new(&mut self, mark: u64, may_repeat: bool) -> bool {
        let known = self.seen.contains(&mark);
        if !known && self.seen.len() < SEEN {
            self.seen.push(mark);
        }
        !(known && may_repeat)
    }

    /// A reply has come that can be carried out for this kind of interaction.
    pub(crate) fn hear(&mut self, reply: Box<Reply>) -> Heard {
        let State::Deferred(deferral) = self.state else {
            return match self.state {
                State::Open => {
                    self.state = state_after(reply.kind);
                    Heard::First(reply)
                }
                _ => self.hear_more(reply),
            };
        };
        let job = match (deferral, reply.kind) {
            (Deferral::Update, Type::ChannelMessageWithSource) => {
                Job::Followup(reply, Some(deferral))
            }
            (_, Type::ChannelMessageWithSource | Type::UpdateMessage) => {
                Job::Edit(reply, Some(deferral))
            }
            (_, Type::DeferredChannelMessageWithSource | Type::DeferredUpdateMessage) => {
                return Heard::Nothing;
            }
            _ => {
                self.state = State::Answered;
                self.jobs.push_back(Job::Apologise(deferral));
                return Heard::TooLate(LATE);
            }
        };
        self.state = State::Answered;
        self.push(job)
    }

    /// One after the answer.
    fn hear_more(&mut self, reply: Box<Reply>) -> Heard {
        match reply.kind {
            Type::ChannelMessageWithSource => self.push(Job::Followup(reply, None)),
            Type::UpdateMessage => self.push(Job::Edit(reply, None)),
            Type::DeferredChannelMessageWithSource | Type::DeferredUpdateMessage => Heard::Nothing,
            _ => Heard::TooLate(SECOND),
        }
    }

    fn push(&mut self, job: Job) -> Heard {
        if self.jobs.len() >= JOBS {
            return Heard::TooMany;
        }
        self.jobs.push_back(job);
        Heard::Later
    }

    /// A reply has come that cannot be carried out, or a worker has refused; whether Discord still waits for the answer, which
    /// is to be the apology.
    pub(crate) fn spoil(&mut self) -> bool {
        match self.state {
            State::Open => {
                self.state = State::Answered;
                return true;
            }
            State::Deferred(deferral) => {
                self.state = State::Answered;
                self.jobs.push_back(Job::Apologise(deferral));
            }
            State::Answered => {}
        }
        false
    }

    /// Discord has an answer that is not known here, most likely that one will follow: what comes is for after that.
    pub(crate) fn retake(&mut self) {
        self.state = self
            .kind
            .deferral()
            .map_or(State::Answered, State::Deferred);
    }

    /// Somebody else has answered.
    pub(crate) fn settle(&mut self) {
        self.state = State::Answered;
    }

    /// Nobody will hear a reply any more; whether the user still sees that a message will come.
    pub(crate) fn part(&mut self) -> bool {
        let is_shown = self.state == State::Deferred(Deferral::Message);
        if is_shown {
            self.spoil();
        }
        is_shown
    }

    /// No reply has come in time: what to answer instead, if Discord has anything for that.
    pub(crate) fn defer(&mut self) -> Option<Value> {
        let Some(deferral) = self.kind.deferral() else {
            self.state = State::Answered;
            return (self.kind == Kind::Autocomplete).then(no_choices);
        };
        self.state = State::Deferred(deferral);
        Some(match deferral {
            Deferral::Message if self.ephemeral => json!({
                "type": Type::DeferredChannelMessageWithSource as i32,
                "data": {"flags": EPHEMERAL},
            }),
            Deferral::Message => json!({"type": Type::DeferredChannelMessageWithSource as i32}),
            Deferral::Update => json!({"type": Type::DeferredUpdateMessage as i32}),
        })
    }

    /// What is to be done next.
    pub(crate) fn job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }
}

/// Why what came after a deferral is of no use.
const LATE: &str =
    "it came too late: the interaction was deferred, and after that Discord takes messages alone";
/// Why what came after the answer is of no use.
const SECOND: &str =
    "the interaction has its answer already, and after that Discord takes messages alone";

fn state_after(first: Type) -> State {
    match first {
        Type::DeferredChannelMessageWithSource => State::Deferred(Deferral::Message),
        Type::DeferredUpdateMessage => State::Deferred(Deferral::Update),
        _ => State::Answered,
    }
}
