//! What requests have made: messages, files, webhooks, interactions, bans.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use axum::body::Bytes;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::interactions::Sent;

/// How many messages a channel keeps.
const MESSAGES: usize = 1000;
/// How many bytes of files are kept.
const FILE_BYTES: usize = 64 << 20;
/// How many interactions and nonces are kept.
const MANY: usize = 100_000;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Things {
    /// Messages by channel and id.
    messages: HashMap<u64, BTreeMap<u64, Value>>,
    /// Who reacted, by message and emoji.
    pub(crate) reactions: HashMap<u64, BTreeMap<String, BTreeSet<u64>>>,
    /// What a channel has otherwise than at the start; nothing: it was deleted.
    pub(crate) channels: HashMap<u64, Option<Map<String, Value>>>,
    /// Bans by guild and user.
    pub(crate) bans: HashMap<u64, BTreeMap<u64, Option<String>>>,
    /// Webhooks by id; nothing: it was deleted.
    pub(crate) webhooks: HashMap<u64, Option<Webhook>>,
    /// Requests that were answered by what their nonce had made before.
    pub(crate) deduplicated: u64,
    /// What the application has otherwise than at the start.
    pub(crate) application: Map<String, Value>,
    /// Interactions that the simulator has sent itself.
    pub(crate) sent: Sent,
    interactions: HashMap<String, Interaction>,
    interaction_order: VecDeque<String>,
    nonces: HashMap<(u64, String), (Instant, u64)>,
    files: VecDeque<(String, Bytes)>,
    /// Nonces of all requests that made something, to find what was made twice.
    made: HashMap<String, u64>,
    made_order: VecDeque<String>,
    /// Webhooks that were answered by 404.
    gone: BTreeSet<String>,
    last_id: u64,
}

/// A webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) channel: u64,
    pub(crate) token: String,
    pub(crate) name: String,
}

/// An interaction that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) answered: Instant,
    /// The channel that its messages are kept in: one of its own.
    pub(crate) channel: u64,
    /// The message that is `@original`, once there is one.
    pub(crate) original: Option<u64>,
}

impl Things {
    /// A new id, larger than all before.
    pub(crate) fn id(&mut self, unix_ms: u64) -> u64 {
        let id = crate::clock::snowflake(unix_ms, 0).max(self.last_id + 1);
        self.last_id = id;
        id
    }

    pub(crate) fn put_message(&mut self, channel: u64, id: u64, message: Value) {
        let messages = self.messages.entry(channel).or_default();
        messages.insert(id, message);
        while messages.len() > MESSAGES
            && let Some((oldest, _)) = messages.pop_first()
        {
            self.reactions.remove(&oldest);
        }
    }

    pub(crate) fn message(&mut self, channel: u64, id: u64) -> Option<&mut Value> {
        self.messages.get_mut(&channel)?.get_mut(&id)
    }

    pub(crate) fn take_message(&mut self, channel: u64, id: u64) -> Option<Value> {
        self.reactions.remove(&id);
        self.messages.get_mut(&channel)?.remove(&id)
    }

    /// The messages of a channel, the oldest first.
    pub(crate) fn messages(&self, channel: u64) -> impl DoubleEndedIterator<Item = (u64, &Value)> {
        let messages = self.messages.get(&channel).into_iter().flatten();
        messages.map(|(id, message)| (*id, message))
    }

    pub(crate) fn put_file(&mut self, path: String, bytes: Bytes) {
        self.files.push_back((path, bytes));
        let mut kept: usize = self.files.iter().map(|(_, bytes)| bytes.len()).sum();
        while kept > FILE_BYTES
            && let Some((_, oldest)) = self.files.pop_front()
        {
            kept -= oldest.len();
        }
    }

    pub(crate) fn file(&self, path: &str) -> Option<Bytes> {
        let mut files = self.files.iter().rev();
        files
            .find(|(name, _)| name == path)
            .map(|(_, bytes)| bytes.clone())
    }

    pub(crate) fn interaction(&mut self, token: &str) -> Option<&mut Interaction> {
        self.interactions.get_mut(token)
    }

    /// What the first answer to an interaction is by now.
    pub(crate) fn original(&self, token: &str) -> Option<Value> {
        let interaction = self.interactions.get(token)?;
        let messages = self.messages.get(&interaction.channel)?;
        messages.get(&interaction.original?).cloned()
    }

    pub(crate) fn put_interaction(&mut self, token: &str, interaction: Interaction) {
        self.interactions.insert(token.to_owned(), interaction);
        self.interaction_order.push_back(token.to_owned());
        if self.interaction_order.len() > MANY
            && let Some(oldest) = self.interaction_order.pop_front()
        {
            self.interactions.remove(&oldest);
        }
    }

    /// The message that the nonce has made since then.
    pub(crate) fn by_nonce(
        &self,
        channel: u64,
        nonce: &str,
        since: Option<Instant>,
    ) -> Option<u64> {
        let (made, id) = self.nonces.get(&(channel, nonce.to_owned()))?;
        since.is_none_or(|since| *made >= since).then_some(*id)
    }

    pub(crate) fn put_nonce(&mut self, channel: u64, nonce: String, now: Instant, id: u64) {
        if self.nonces.len() >= MANY {
            self.nonces.clear();
        }
        self.nonces.insert((channel, nonce), (now, id));
    }

    /// Notes that a webhook was answered by 404; whether it was before.
    pub(crate) fn gone(&mut self, webhook: String) -> bool {
        if self.gone.len() >= MANY {
            self.gone.clear();
        }
        !self.gone.insert(webhook)
    }

    /// Notes that a request with this nonce has made something; whether it was not the first.
    pub(crate) fn made(&mut self, what: String) -> bool {
        let count = self.made.entry(what.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.made_order.push_back(what);
            if self.made_order.len() > MANY
                && let Some(oldest) = self.made_order.pop_front()
            {
                self.made.remove(&oldest);
            }
            return false;
        }
        true
    }
}
