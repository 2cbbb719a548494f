//! The calls of an application that this node holds, by their guilds.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boot::{CancellationToken, Tasks};
use prost::Message as _;
use store::{HeldCall, Node};
use tokio::{
    sync::{
        Semaphore,
        mpsc::error::TrySendError,
        oneshot::{self, Receiver},
    },
    time::Instant,
};
use wire::gateway::v1::{Code, Error as Failure};

use crate::{
    call::{Call, Handle, News, ORDERS, Shared, TakenOver},
    failure::{ending, failure, invalid},
    order::{Answer, Job, Order},
    saved::Saved,
};

/// The calls of an application; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Room for calls, of all applications together.
    room: Arc<Semaphore>,
    tasks: Tasks,
    shutdown: CancellationToken,
    calls: Mutex<BTreeMap<u64, Handle>>,
    /// The nodes, as this one last heard of them.
    nodes: Mutex<Vec<Node>>,
}

/// What will become of an order.
pub(crate) type Promise = Receiver<Result<Answer, Failure>>;

/// Where an order went.
#[derive(Debug)]
pub(crate) enum Ordered {
    /// To the call.
    Here(Promise),
    /// Nowhere: this node has no such call.
    Elsewhere(Order),
}

impl Calls {
    /// No call yet.
    pub(crate) fn new(
        shared: Arc<Shared>,
        room: Arc<Semaphore>,
        tasks: Tasks,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            shared,
            room,
            tasks,
            shutdown,
            calls: Mutex::default(),
            nodes: Mutex::default(),
        }))
    }

    /// What the calls have in common.
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Gives an order to the call of a guild.
    ///
    /// # Errors
    /// Too many orders wait for it.
    pub(crate) fn order(
        &self,
        guild_id: u64,
        order: Order,
        until: Instant,
    ) -> Result<Ordered, Failure> {
        let handle = self.calls().get(&guild_id).cloned();
        match handle {
            Some(handle) => send(&handle, order, until).map(Ordered::Here),
            None => Ok(Ordered::Elsewhere(order)),
        }
    }

    /// Begins a call of a guild with this order, unless there is one by now.
    ///
    /// # Errors
    /// There is no room for another call, or too many orders wait for this one.
    pub(crate) fn begin(
        &self,
        guild_id: u64,
        order: Order,
        until: Instant,
    ) -> Result<Promise, Failure> {
        let mut calls = self.calls();
        let handle = match calls.get(&guild_id) {
            Some(handle) => handle.clone(),
            None => self.open(guild_id, None, &mut calls)?,
        };
        drop(calls);
        send(&handle, order, until)
    }

    /// Goes on with a call that another node has left.
    pub(crate) fn take_over(&self, guild_id: u64, token: u64, saved: &[u8], position: u64) {
        let saved = Saved::decode(saved).unwrap_or_else(|error| {
            // The bot is to leave the channel all the same.
            tracing::warn!(%error, guild = guild_id, "what was saved of a call cannot be read");
            Saved::default()
        });
        let taken = TakenOver {
            token,
            saved: Box::new(saved),
            position: Duration::from_millis(position),
        };
        let opened = self.open(guild_id, Some(taken), &mut self.calls());
        if let Err(failure) = opened {
            tracing::warn!(
                guild = guild_id,
                reason = failure.message,
                "a call was not taken over"
            );
        }
    }

    /// Whether a call of this guild is here.
    pub(crate) fn has(&self, guild_id: u64) -> bool {
        self.calls().contains_key(&guild_id)
    }

    /// Tells the call of a guild what the gateway says, if there is one.
    pub(crate) fn news(&self, guild_id: u64, news: News) {
        let handle = self.calls().get(&guild_id).cloned();
        if let Some(handle) = handle
            && let Err(TrySendError::Full(_)) = handle.news.try_send(news)
        {
            // What it waits for it asks for again.
            tracing::warn!(guild = guild_id, "a call does not keep up with the gateway");
            self.0.shared.metrics.unheard();
        }
    }

    /// The store knows as ours what it does not say is lost.
    pub(crate) fn confirm(&self) {
        for handle in self.calls().values() {
            handle.held.confirm();
        }
    }

    /// The call of a guild is another node's by now.
    pub(crate) fn lose(&self, guild_id: u64) {
        self.news(guild_id, News::Lost);
    }

    /// This node as the others see it.
    pub(crate) fn node(&self) -> Node {
        let inner = &self.0;
        let room = u32::try_from(inner.room.available_permits()).unwrap_or(u32::MAX);
        let stops = inner.shutdown.is_cancelled() || inner.shared.load.refusal().is_some();
        Node {
            id: inner.shared.node.clone(),
            calls: inner.shared.settings.calls.saturating_sub(room),
            room: if stops { 0 } else { room },
        }
    }

    /// The calls whose leases are this node's.
    pub(crate) fn held(&self) -> Vec<HeldCall> {
        let calls = self.calls();
        let held = calls.iter();
        held.filter_map(|(guild_id, handle)| handle.held.call(*guild_id))
            .collect()
    }

    /// The nodes are these.
    pub(crate) fn know(&self, nodes: Vec<Node>) {
        *self.nodes() = nodes;
    }

    /// The node that a new call should go to, if it is another one.
    pub(crate) fn better(&self) -> Option<String> {
        let me = self.node();
        let mut nodes = self.nodes();
        let others = nodes
            .iter_mut()
            .filter(|node| node.id != me.id && node.room > 0);
        let other = others.min_by_key(|node| node.calls)?;
        if me.room > 0 && me.calls <= other.calls {
            return None;
        }
        // Until it tells by itself.
        other.calls += 1;
        other.room -= 1;
        Some(other.id.clone())
    }

    fn open(
        &self,
        guild_id: u64,
        taken: Option<TakenOver>,
        calls: &mut BTreeMap<u64, Handle>,
    ) -> Result<Handle, Failure> {
        let inner = &self.0;
        if inner.shutdown.is_cancelled() {
            let text = "the node is being stopped; try again";
            return Err(failure(Code::Unavailable, text));
        }
        if taken.is_none()
            && let Some(busy) = inner.shared.load.refusal()
        {
            return Err(failure(Code::ResourceExhausted, busy));
        }
        let guild = NonZeroU64::new(guild_id).ok_or_else(|| invalid("guild_id: it is missing"))?;
        let room = Arc::clone(&inner.room).try_acquire_owned().map_err(|_| {
            let text = format!(
                "this node has {} calls, and room for no more (VOICE_CALLS)",
                inner.shared.settings.calls
            );
            failure(Code::ResourceExhausted, text)
        })?;
        let (call, handle) = Call::new(Arc::clone(&inner.shared), guild);
        calls.insert(guild_id, handle.clone());
        let all = self.clone();
        let running = call.run(taken, inner.shutdown.clone(), move || {
            all.calls().remove(&guild_id);
            drop(room);
        });
        inner.tasks.spawn("call", running);
        Ok(handle)
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<u64, Handle>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts an order behind those that wait.
fn send(handle: &Handle, order: Order, until: Instant) -> Result<Promise, Failure> {
    let (reply, promise) = oneshot::channel();
    let job = Job {
        order,
        until,
        reply,
    };
    match handle.jobs.try_send(job) {
        Ok(()) => Ok(promise),
        Err(TrySendError::Full(_)) => {
            let text = format!("{ORDERS} requests wait for this call already");
            Err(failure(Code::ResourceExhausted, text))
        }
        Err(TrySendError::Closed(_)) => Err(ending()),
    }
}
