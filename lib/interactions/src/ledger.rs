//! The interactions of the last 15 minutes: who waits for the answer, and what is still to be done.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boot::SecretString;
use broker::{Answer, Receipt};
use serde_json::Value;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    conversation::{Conversation, Heard, Job, Kind},
    metrics::Metrics,
    reply::{Replies, Reply, Said, mark},
};

/// How long the token of an interaction is good for.
pub(crate) const LIFE: Duration = Duration::from_secs(15 * 60);

/// How much all replies that wait to be carried out may take in memory together.
const WINDOW: usize = 64 << 20;

/// How many interactions go to another process at the most when this one dies.
const KEPT: usize = 32_768;

/// What Discord is to be answered.
#[derive(Debug)]
pub enum First {
    /// That it did not work.
    Apology,
    /// What a worker replied.
    Reply(Box<Reply>),
}

/// What became of a reply.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is the answer.
    First,
    /// There is a job for it; whoever hears this carries the interaction's jobs out.
    Work,
    /// There is a job, and somebody is at it.
    Queued,
    /// Nothing is to be done for it.
    Nothing,
    /// It came before.
    Repeated,
    /// It cannot be carried out; this is what the worker is told.
    Refused(Refusal, Followed),
}

/// What follows when a reply is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Followed {
    /// Nothing.
    Nothing,
    /// The user is to hear of it.
    Work,
}

/// Why a reply is not carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The worker says itself that it could not.
    #[error("{0}")]
    Failure(String),
    /// It cannot be any more.
    #[error("{0}")]
    Late(&'static str),
    /// Too many wait.
    #[error("too many replies wait to be carried out already: try again")]
    Many,
    /// Nobody knows such an interaction.
    #[error(
        "no interaction is known by this correlation id: it is older than 15 minutes, or was never answered, or its process is gone"
    )]
    Unknown,
    /// It is no reply.
    #[error("{0}")]
    Wrong(String),
}

/// Something to do for an interaction.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) application_id: u64,
    pub(crate) token: SecretString,
    /// When Discord was answered; not yet, if absent.
    pub(crate) answered: Option<Instant>,
    /// When the token ends.
    pub(crate) end: Instant,
}

/// An interaction that cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// So many wait for their answers that there is no room.
    Full,
    /// It came before.
    Known,
}

/// All interactions that are remembered.
pub struct Ledger {
    book: Mutex<Book>,
    most: usize,
    metrics: Metrics,
}

#[derive(Default)]
struct Book {
    entries: HashMap<u64, Entry>,
    /// In the order in which they came.
    order: VecDeque<(Instant, u64)>,
    /// For how many something is owed.
    owing: usize,
    /// Bytes of the replies that wait.
    bytes: usize,
    /// Those that were taken from a shared queue, as far as they may be held.
    kept: VecDeque<u64>,
}

struct Entry {
    application_id: u64,
    token: SecretString,
    conversation: Conversation,
    waiter: Option<oneshot::Sender<First>>,
    since: Instant,
    answered: Option<Instant>,
    /// Whether somebody carries the jobs out.
    is_worked: bool,
    /// While it is held, the interaction goes to another process when this one dies.
    receipt: Option<Receipt>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// Remembers so many at the most.
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self {
            book: Mutex::default(),
            most,
            metrics,
        }
    }

    /// Begins with an interaction; what is to be answered comes by the receiver.
    ///
    /// # Errors
    /// It cannot be taken.
    pub fn open(
        &self,
        id: u64,
        application_id: u64,
        token: &str,
        kind: Kind,
        ephemeral: bool,
    ) -> Result<oneshot::Receiver<First>, Unfit> {
        let now = Instant::now();
        let mut book = self.book();
        if book.entries.contains_key(&id) {
            return Err(Unfit::Known);
        }
        book.sweep(now);
        if book.entries.len() >= self.most && !book.make_room() {
            return Err(Unfit::Full);
        }
        let (waiter, first) = oneshot::channel();
        let entry = Entry {
            application_id,
            token: token.into(),
            conversation: Conversation::new(kind, ephemeral),
            waiter: Some(waiter),
            since: now,
            answered: None,
            is_worked: false,
            receipt: None,
        };
        book.entries.insert(id, entry);
        book.order.push_back((now, id));
        self.show(&book);
        Ok(first)
    }

    /// Lets an interaction go to another process when this one dies, until it is dealt with.
    pub(crate) fn hold(&self, id: u64, receipt: Option<Receipt>) {
        let mut book = self.book();
        book.with(id, |entry| entry.receipt = receipt);
        book.kept.push_back(id);
        if book.kept.len() > KEPT
            && let Some(oldest) = book.kept.pop_front()
        {
            book.with(oldest, |entry| entry.receipt = None);
        }
    }

    /// Discord has an answer that is not known here: what becomes of the one that there is.
    pub(crate) fn retake(&self, id: u64, reply: Box<Reply>) -> Outcome {
        let mut book = self.book();
        let outcome = book.with(id, |entry| {
            entry.conversation.retake();
            entry.hear(Said::Reply(reply), false)
        });
        self.show(&book);
        outcome.unwrap_or(Outcome::Refused(Refusal::Unknown, Followed::Nothing))
    }

    /// The same, when the user is to hear that it did not work.
    pub(crate) fn retake_apology(&self, id: u64) -> Followed {
        let mut book = self.book();
        let followed = book.with(id, |entry| {
            entry.conversation.retake();
            entry.conversation.spoil();
            entry.follow()
        });
        self.show(&book);
        followed.unwrap_or(Followed::Nothing)
    }

    /// Somebody else has answered.
    pub(crate) fn settle(&self, id: u64) {
        let mut book = self.book();
        book.with(id, |entry| entry.conversation.settle());
        self.show(&book);
    }

    /// The time for a reply is over: what to answer instead. `None`: a reply has come at the last moment, or the interaction
    /// cannot be put off.
    pub fn defer(&self, id: u64) -> Option<Value> {
        let mut book = self.book();
        let answer = book.with(id, |entry| {
            let is_open = entry.conversation.is_open();
            is_open.then(|| entry.conversation.defer()).flatten()
        });
        self.show(&book);
        answer.flatten()
    }

    /// Discord is being answered now.
    pub fn answered(&self, id: u64) {
        let now = Instant::now();
        self.book().with(id, |entry| entry.answered = Some(now));
    }

    /// Nothing can be done for an interaction any more.
    pub fn forget(&self, id: u64) {
        let mut book = self.book();
        book.remove(id);
        self.show(&book);
    }

    /// A worker has answered.
    pub(crate) fn hear(&self, id: u64, answer: &Answer, replies: &Replies<'_>) -> Outcome {
        let (mark, may_repeat) = mark(answer);
        let known = self.book().with(id, |entry| {
            let conversation = &mut entry.conversation;
            (conversation.kind(), conversation.is_new(mark, may_repeat))
        });
        let unknown = Outcome::Refused(Refusal::Unknown, Followed::Nothing);
        let kind = match known {
            Some((kind, true)) => kind,
            Some((_, false)) => return Outcome::Repeated,
            None => return unknown,
        };
        // It takes its time, so nobody waits for the lock meanwhile.
        let said = replies.read(kind, answer);
        let mut book = self.book();
        let is_full = book.bytes > WINDOW;
        let outcome = book.with(id, |entry| entry.hear(said, is_full));
        self.show(&book);
        outcome.unwrap_or(unknown)
    }

    /// What is to be done next for an interaction. `None` ends the work.
    pub(crate) fn work(&self, id: u64) -> Option<Work> {
        let mut book = self.book();
        let work = book.with(id, |entry| {
            let job = entry.conversation.job();
            entry.is_worked = job.is_some();
            Some(Work {
                job: job?,
                application_id: entry.application_id,
                token: entry.token.clone(),
                answered: entry.answered,
                end: entry.since + LIFE,
            })
        });
        self.show(&book);
        work.flatten()
    }

    /// When Discord was answered, if it was. The outer `None`: the interaction is forgotten.
    pub(crate) fn answered_at(&self, id: u64) -> Option<Option<Instant>> {
        Some(self.book().entries.get(&id)?.answered)
    }

    /// Nobody will hear a reply any more: the interactions whose users are to be told so. Whoever hears this carries
    /// their jobs out.
    pub(crate) fn part(&self) -> Vec<u64> {
        let mut book = self.book();
        let ids: Vec<u64> = book.entries.keys().copied().collect();
        let mut left = Vec::new();
        for id in ids {
            let followed = book.with(id, |entry| match entry.conversation.part() {
                true => entry.follow(),
                false => Followed::Nothing,
            });
            if followed == Some(Followed::Work) {
                left.push(id);
            }
        }
        left
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&self) {
        let mut book = self.book();
        book.sweep(Instant::now());
        self.show(&book);
    }

    /// For how many interactions something is owed to the user.
    pub fn owing(&self) -> usize {
        self.book().owing
    }

    fn show(&self, book: &Book) {
        self.metrics.remembered(book.entries.len(), book.owing);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Does something with an entry, and counts what is owed anew.
    fn with<T>(&mut self, id: u64, what: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&id)?;
        let before = (entry.is_owing(), entry.conversation.bytes());
        let done = what(entry);
        let after = (entry.is_owing(), entry.conversation.bytes());
        if entry.answered.is_some() && !after.0 {
            entry.receipt = None;
        }
        self.owing = self.owing - usize::from(before.0) + usize::from(after.0);
        self.bytes = self.bytes - before.1 + after.1;
        Some(done)
    }

    fn remove(&mut self, id: u64) {
        if let Some(entry) = self.entries.remove(&id) {
            self.owing -= usize::from(entry.is_owing());
            self.bytes -= entry.conversation.bytes();
        }
    }

    /// Forgets those whose tokens have ended.
    fn sweep(&mut self, now: Instant) {
        while let Some((since, id)) = self.order.front().copied() {
            if now.duration_since(since) < LIFE && self.entries.contains_key(&id) {
                return;
            }
            self.order.pop_front();
            self.remove(id);
        }
    }

    /// Forgets the oldest one, unless Discord still waits for it.
    fn make_room(&mut self) -> bool {
        let Some((_, id)) = self.order.front().copied() else {
            return false;
        };
        let is_open = |entry: &Entry| entry.conversation.is_open();
        if self.entries.get(&id).is_some_and(is_open) {
            return false;
        }
        self.order.pop_front();
        self.remove(id);
        true
    }
}

impl Entry {
    fn is_owing(&self) -> bool {
        self.conversation.is_owing() || self.is_worked
    }

    fn hear(&mut self, said: Said, is_full: bool) -> Outcome {
        let reply = match said {
            Said::Reply(reply) => reply,
            Said::Failure(message) => return self.spoil(Refusal::Failure(message)),
            Said::Wrong(wrong) => return self.spoil(Refusal::Wrong(wrong.to_string())),
        };
        if is_full && !self.conversation.is_open() {
            return Outcome::Refused(Refusal::Many, Followed::Nothing);
        }
        match self.conversation.hear(reply) {
            Heard::First(reply) => {
                self.tell(First::Reply(reply));
                Outcome::First
            }
            Heard::Later if self.is_worked => Outcome::Queued,
            Heard::Later => {
                self.is_worked = true;
                Outcome::Work
            }
            Heard::Nothing => Outcome::Nothing,
            Heard::TooLate(why) => {
                let followed = self.follow();
                Outcome::Refused(Refusal::Late(why), followed)
            }
            Heard::TooMany => Outcome::Refused(Refusal::Many, Followed::Nothing),
        }
    }

    fn spoil(&mut self, refusal: Refusal) -> Outcome {
        if self.conversation.spoil() {
            self.tell(First::Apology);
        }
        let followed = self.follow();
        Outcome::Refused(refusal, followed)
    }

    /// Whether there is work now that nobody is at.
    fn follow(&mut self) -> Followed {
        if self.is_worked || !self.conversation.has_jobs() {
            return Followed::Nothing;
        }
        self.is_worked = true;
        Followed::Work
    }

    fn tell(&mut self, first: First) {
        if let Some(waiter) = self.waiter.take() {
            // Whoever waited is gone when Discord has hung up.
            waiter.send(first).ok();
        }
    }
}
