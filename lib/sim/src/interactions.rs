//! The sending half of interactions: signed requests to an endpoint, and what came of each.

mod make;
mod sender;
mod signature;

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

pub(crate) use sender::{client, is_there, look, run, send_probes};
pub use signature::Signature;
pub(crate) use signature::Signer;

/// How many interactions are remembered one by one.
const KEPT: usize = 100_000;

/// What to send.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interact {
    /// The interactions endpoint URL. Without one they go over the gateway connections, and the answer is the callback.
    pub url: String,
    /// The kind of the interactions.
    pub kind: InteractionKind,
    /// The command's name, or the `custom_id`.
    pub name: String,
    /// How many.
    pub count: u32,
    /// How many at a time.
    pub concurrency: usize,
    /// How many a second at the most; 0: as fast as it goes.
    pub rate: u32,
    /// Members to put over those of the interaction.
    pub json: Map<String, Value>,
    /// The whole body, in place of all that.
    pub text: Option<String>,
    /// How it is signed.
    pub signature: Signature,
    /// Whether each comes over a connection of its own.
    pub is_new: bool,
}

impl Default for Interact {
    fn default() -> Self {
        Self {
            url: String::new(),
            kind: InteractionKind::Command,
            name: "play".to_owned(),
            count: 1,
            concurrency: 1,
            rate: 0,
            json: Map::new(),
            text: None,
            signature: Signature::Right,
            is_new: false,
        }
    }
}

/// What a user did.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InteractionKind {
    /// Began to write an option.
    Autocomplete,
    /// Used a command.
    Command,
    /// Used a component.
    Component,
    /// Sent off a modal that a component had opened.
    ComponentModal,
    /// Sent off a modal that a command had opened.
    Modal,
    /// Nothing: Discord tests the endpoint.
    Ping,
    /// Wants to buy something.
    Purchase,
}

impl InteractionKind {
    /// The types of answers that Discord takes.
    fn answers(self) -> &'static [u64] {
        match self {
            Self::Autocomplete => &[8],
            Self::Command => &[4, 5, 9, 10, 12],
            Self::Component => &[4, 5, 6, 7, 9, 10, 12],
            Self::ComponentModal => &[4, 5, 6, 7, 10, 12],
            Self::Modal => &[4, 5, 10, 12],
            Self::Ping => &[1],
            Self::Purchase => &[13],
        }
    }
}

/// What came of an interaction.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Interacted {
    /// Its id.
    pub id: u64,
    /// Its token.
    pub token: String,
    /// Its kind.
    pub kind: InteractionKind,
    /// The status of the answer; absent when there was none within 3 s.
    pub status: Option<u16>,
    /// The answer as JSON, if it was that; of one that went over a gateway connection the callback.
    pub answer: Option<Value>,
    /// Milliseconds until the answer was there.
    pub took_ms: f64,
    /// The first answer by the callback's route, if it came that way.
    pub callback: Option<u64>,
    /// How often `@original` was edited.
    pub edits: u32,
    /// How many messages followed.
    pub followups: u32,
    /// What `@original` is by now.
    pub original: Option<Value>,
}

/// How all of it stands.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Interactions {
    /// How many were sent.
    pub sent: u64,
    /// How many got an answer that Discord takes, or one by the callback's route.
    pub answered: u64,
    /// How many got a status other than 200 and 202.
    pub refused: u64,
    /// How many got nothing within 3 s.
    pub unanswered: u64,
    /// Answers by their type; 202 is `callback`.
    pub answers: BTreeMap<String, u64>,
    /// Edits of `@original`.
    pub edits: u64,
    /// Messages that followed.
    pub followups: u64,
    /// The longest time until an answer, in milliseconds.
    pub slowest_ms: f64,
}

/// What the REST half has to know of the interactions that were sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    by_token: HashMap<String, One>,
    order: VecDeque<String>,
    pub(crate) totals: Interactions,
}

/// One that was sent.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(crate) id: u64,
    pub(crate) at: Instant,
    /// The message that the component belongs to.
    pub(crate) message: Option<(u64, u64)>,
    pub(crate) callback: Option<u64>,
    /// What the callback said, and when.
    pub(crate) said: Option<(Value, Instant)>,
    pub(crate) edits: u32,
    pub(crate) followups: u32,
}

impl Sent {
    pub(crate) fn put(&mut self, token: &str, id: u64, message: Option<(u64, u64)>) {
        let one = One {
            id,
            at: Instant::now(),
            message,
            callback: None,
            said: None,
            edits: 0,
            followups: 0,
        };
        self.totals.sent += 1;
        self.by_token.insert(token.to_owned(), one);
        self.order.push_back(token.to_owned());
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_token.remove(&oldest);
        }
    }

    pub(crate) fn one(&mut self, token: &str) -> Option<&mut One> {
        self.by_token.get_mut(token)
    }

    /// Discord has an answer of this kind.
    pub(crate) fn answered(&mut self, kind: String) {
        self.totals.answered += 1;
        *self.totals.answers.entry(kind).or_default() += 1;
    }

    /// An edit of `@original` was carried out.
    pub(crate) fn edited(&mut self, token: &str) {
        if let Some(one) = self.by_token.get_mut(token) {
            one.edits += 1;
            self.totals.edits += 1;
        }
    }

    /// A message has followed.
    pub(crate) fn followed(&mut self, token: &str) {
        if let Some(one) = self.by_token.get_mut(token) {
            one.followups += 1;
            self.totals.followups += 1;
        }
    }
}
