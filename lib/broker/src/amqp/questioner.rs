//! The task that publishes what wants an answer, and takes the answers.

use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use amq_protocol::types::{AMQPValue, FieldTable, LongString};
use boot::{Backoff, CancellationToken, Check};
use rabbitmq::Down;
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant, Interval, Sleep},
};

use super::{
    Links,
    arriving::Delivered,
    channel::{Channel, Inbox},
    link::Notice,
    not_taken,
    topology::classic,
};
use crate::{
    Answer, Exchange,
    questions::{ANSWERS, Order, Receipt, Settled},
};

/// How many answers RabbitMQ is told at once that we have, and how late at the most: telling it of each costs as much as the
/// answer itself.
const TOLD: usize = ANSWERS / 4;
const TELL: Duration = Duration::from_millis(50);

/// The shortest and the longest wait before another attempt to connect.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How often we look at heartbeats.
const LOOK: Duration = Duration::from_millis(500);

/// How long connecting may take, with all that is declared.
const OPEN: Duration = Duration::from_secs(20);

/// How long the queue outlives its last consumer, in milliseconds: as long as an answer may still mean something.
const EXPIRES: i32 = 16 * 60 * 1000;

/// How many answers the queue keeps; who sends one more is told that it was refused.
const LONGEST: i32 = 100_000;

/// How many messages of a shared queue may be in hand: as many as AMQP can say.
const IN_HAND: u16 = u16::MAX;

/// Whose answers are taken.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// Those to questions of this process; the queue is its own.
    Own,
    /// Those to all questions. The queue is shared by all replicas, of which one at a time takes from it, and has the
    /// questions too. The flag is set when no more are taken.
    Shared(Arc<AtomicBool>),
}

/// What outlives the single connection.
pub(crate) struct Questioner {
    pub(crate) links: Links,
    pub(crate) check: Check,
    pub(crate) queue: String,
    pub(crate) whose: Whose,
    pub(crate) persistent: bool,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) answers: mpsc::Sender<Answer>,
}

/// What there is for the time of one connection.
struct Open {
    channel: Channel,
    look: Interval,
    /// Of our own queue: the newest answer that we have, and how many there are of which RabbitMQ has not heard.
    newest: u64,
    untold: usize,
    tell: Pin<Box<Sleep>>,
    /// Of a shared queue: what is dealt with.
    settled: Option<Arc<Settled>>,
    /// Whether nobody takes answers any more.
    is_over: bool,
}

/// How a connection goes on.
enum Turn {
    Next,
    End,
}

impl Questioner {
    /// Asks until this token is cancelled. What was not dealt with is another one's from then on, if the queue is shared.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        let mut backoff = Backoff::new(WAIT.0, WAIT.1);
        loop {
            let down = match end.run_until_cancelled(self.open()).await {
                None => return,
                Some(Ok(channel)) => {
                    self.check.up();
                    backoff.reset();
                    let mut open = Open::new(channel, &self.whose);
                    match self.serve(&mut open, &end).await {
                        Ok(()) => return open.channel.close().await,
                        Err(down) => down,
                    }
                }
                Some(Err(down)) => down,
            };
            self.report(&down);
            let waiting = time::sleep(backoff.next());
            if end.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }

    /// Connects when there is something to connect to: then the exchanges are there, too.
    async fn open(&mut self) -> Result<Channel, Down> {
        let channels = self.links.channels().await;
        let inbox = Inbox {
            queue: &self.queue,
            arguments: self.whose.arguments(),
            exchanges: self.whose.exchanges(),
            at_once: self.whose.at_once(),
        };
        let names = &self.links.names;
        let opening = Channel::open(channels.place(), names, self.persistent, inbox);
        let opened = time::timeout(OPEN, opening).await;
        opened.unwrap_or(Err(Down::TimedOut("connecting", OPEN)))
    }

    fn report(&self, down: &Down) {
        tracing::debug!(?down, "no answers are taken for now");
        not_taken(&self.check, "answers", &self.queue, down);
    }

    /// Asks over one connection until it breaks; `Ok` at the end. Who still waits then hears it, as what they wait for is
    /// dropped.
    async fn serve(&mut self, open: &mut Open, end: &CancellationToken) -> Result<(), Down> {
        let mut ended = pin!(end.cancelled());
        loop {
            self.hand_out(open);
            self.send(open);
            let turn = select! {
                biased;
                () = &mut ended => Ok(Turn::End),
                turn = self.turn(open) => turn,
            };
            // What the broker said last explains best why the connection is gone.
            self.hear(&mut open.channel)?;
            if let Turn::End = turn? {
                // What was dealt with is not to come again.
                open.tell();
                return Ok(());
            }
        }
    }

    /// Waits until there is something to do, and does a part of it. Cancel safe.
    async fn turn(&mut self, open: &mut Open) -> Result<Turn, Down> {
        let is_shared = open.settled.is_some();
        let more = async {
            match &open.settled {
                Some(settled) => settled.more().await,
                None => pending().await,
            }
        };
        let (has_room, has_arrived) = (open.channel.has_room(), open.channel.has_arrived());
        select! {
            biased;
            _ = open.look.tick() => open.channel.look()?,
            () = self.answers.closed(), if is_shared && !open.is_over => {
                open.is_over = true;
                open.channel.stop();
            }
            moved = open.channel.moved() => moved?,
            () = more => open.tell(),
            () = &mut open.tell, if open.untold > 0 => open.tell(),
            _ = self.answers.reserve(), if has_arrived => {}
            order = self.orders.recv(), if has_room => match order {
                Some(order) => open.channel.send(order),
                None => return Ok(Turn::End),
            },
        }
        Ok(Turn::Next)
    }

    /// Sends what waits, all in one write.
    fn send(&mut self, open: &mut Open) {
        while open.channel.has_room()
            && let Ok(order) = self.orders.try_recv()
        {
            open.channel.send(order);
        }
    }

    /// Passes answers on, as long as there is room for them. RabbitMQ may forget them then, if the questions are our own: when
    /// this process dies, nobody knows them either.
    fn hand_out(&self, open: &mut Open) {
        while (self.answers.capacity() > 0 || self.answers.is_closed())
            && let Some(delivered) = open.channel.take()
        {
            let delivery_tag = delivered.deliver.delivery_tag;
            let mut answer = read(delivered);
            match &open.settled {
                Some(settled) => answer.receipt = Some(Receipt::new(delivery_tag, settled)),
                None => open.taken(delivery_tag),
            }
            // When nobody takes answers any more, this one is as good as taken, or goes back.
            self.answers.try_send(answer).ok();
        }
    }

    fn hear(&self, channel: &mut Channel) -> Result<(), Down> {
        while let Some(notice) = channel.hear()? {
            match notice {
                Notice::Blocked(reason) => self.check.down(format!(
                    "RabbitMQ takes no messages for now ({reason}); rabbitmq-diagnostics alarms says more"
                )),
                Notice::Unblocked => self.check.up(),
            }
        }
        Ok(())
    }
}

impl Open {
    fn new(channel: Channel, whose: &Whose) -> Self {
        let settled = match whose {
            Whose::Own => None,
            Whose::Shared(is_closed) => Some(Arc::new(Settled::new(Arc::clone(is_closed)))),
        };
        Self {
            channel,
            look: time::interval(LOOK),
            newest: 0,
            untold: 0,
            tell: Box::pin(time::sleep(TELL)),
            settled,
            is_over: false,
        }
    }

    /// An answer to a question of our own is where it should be.
    fn taken(&mut self, delivery_tag: u64) {
        self.newest = delivery_tag;
        if self.untold == 0 {
            self.tell.as_mut().reset(Instant::now() + TELL);
        }
        self.untold += 1;
        if self.untold >= TOLD {
            self.tell();
        }
    }

    /// Tells RabbitMQ what it may forget.
    fn tell(&mut self) {
        if self.untold > 0 {
            self.untold = 0;
            self.channel.acknowledge(self.newest, true);
        }
        if let Some(settled) = &self.settled {
            for delivery_tag in settled.take() {
                self.channel.acknowledge(delivery_tag, false);
            }
        }
    }
}

fn read(delivered: Delivered) -> Answer {
    let Delivered {
        deliver,
        content,
        body,
    } = delivered;
    Answer {
        correlation_id: content.correlation_id.unwrap_or_default(),
        type_name: content.type_name.unwrap_or_default(),
        message_id: content.message_id,
        reply_to: content.reply_to.filter(|name| !name.is_empty()),
        redelivered: deliver.redelivered,
        routing_key: deliver.routing_key.to_string(),
        deadline: content.deadline,
        receipt: None,
        body,
    }
}

impl Whose {
    /// The exchanges that have the queue's name for a routing key.
    fn exchanges(&self) -> &'static [Exchange] {
        match self {
            Self::Own => &[Exchange::Replies],
            Self::Shared(_) => &[Exchange::Replies, Exchange::Events],
        }
    }

    /// How many answers may be in hand.
    fn at_once(&self) -> u16 {
        match self {
            Self::Own => u16::try_from(ANSWERS).unwrap_or(u16::MAX),
            Self::Shared(_) => IN_HAND,
        }
    }

    /// What the queue is declared with.
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        let (name, classic) = classic();
        // It is short-lived, or refuses what does not fit.
        arguments.insert(name, classic);
        arguments.insert("x-expires".into(), AMQPValue::LongInt(EXPIRES));
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(LONGEST));
        // A copy that does not fit must not keep the event from its other queues.
        let overflow = match self {
            Self::Own => "reject-publish",
            Self::Shared(_) => "drop-head",
        };
        let overflow = AMQPValue::LongString(LongString::from(overflow));
        arguments.insert("x-overflow".into(), overflow);
        if let Self::Shared(_) = self {
            arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(EXPIRES));
            let one = AMQPValue::Boolean(true);
            arguments.insert("x-single-active-consumer".into(), one);
        }
        arguments
    }
}

#[cfg(test)]
mod tests;
