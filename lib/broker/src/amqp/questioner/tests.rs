//! When RabbitMQ hears of answers, and who gets them.

use amq_protocol::protocol::{AMQPClass, basic};
use boot::Health;
use tokio::{
    io::duplex,
    join,
    sync::{oneshot, watch},
    time::timeout,
};

use super::*;
use crate::{
    amqp::{fake::Broker, frames::Word, link::Link, topology::Names},
    questions::What,
};

/// A questioner with its connection, and the other ends of all.
struct Scene {
    questioner: Questioner,
    open: Open,
    broker: Broker,
    answers: mpsc::Receiver<Answer>,
    orders: mpsc::Sender<Order>,
    end: CancellationToken,
    is_closed: Arc<AtomicBool>,
}

async fn scene(is_shared: bool) -> Scene {
    let is_closed = Arc::new(AtomicBool::new(false));
    let whose = match is_shared {
        true => Whose::Shared(Arc::clone(&is_closed)),
        false => Whose::Own,
    };
    let (ours, theirs) = duplex(1 << 22);
    let mut broker = Broker(theirs);
    let (link, names) = (Link::new(Box::new(ours)), Names::new("test"));
    let inbox = Inbox {
        queue: "q",
        arguments: whose.arguments(),
        exchanges: whose.exchanges(),
        at_once: whose.at_once(),
    };
    let (channel, _) = join!(Channel::on(link, &names, false, inbox), broker.consumed());
    let (orders, ordered) = mpsc::channel(4);
    let (answered, answers) = mpsc::channel(ANSWERS);
    let questioner = Questioner {
        links: Links {
            current: watch::channel(None).1,
            names,
            unclaimed: boot::metrics::Counter::default(),
        },
        check: Health::default().check("answers"),
        queue: "q".to_owned(),
        whose: whose.clone(),
        persistent: false,
        orders: ordered,
        answers: answered,
    };
    Scene {
        questioner,
        open: Open::new(channel.unwrap(), &whose),
        broker,
        answers,
        orders,
        end: CancellationToken::new(),
        is_closed,
    }
}

impl Scene {
    /// Serves while something else happens.
    async fn during<T>(&mut self, other: impl AsyncFnOnce(&mut Other<'_>) -> T) -> T {
        let mut ends = Other {
            broker: &mut self.broker,
            answers: &mut self.answers,
        };
        select! {
            served = self.questioner.serve(&mut self.open, &self.end) => panic!("{served:?}"),
            done = other(&mut ends) => done,
        }
    }
}

struct Other<'a> {
    broker: &'a mut Broker,
    answers: &'a mut mpsc::Receiver<Answer>,
}

fn ack(method: &AMQPClass) -> (u64, bool) {
    match method {
        AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => (ack.delivery_tag, ack.multiple),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn many_answers_are_acknowledged_by_one_frame() {
    let told = u64::try_from(TOLD).unwrap();
    let since = Instant::now();
    let mut scene = scene(false).await;
    let acks = async |other: &mut Other<'_>| {
        for delivery_tag in 1..=2 * told {
            other.broker.deliver(delivery_tag).await;
        }
        let first = ack(&other.broker.method().await);
        (first, ack(&other.broker.method().await))
    };
    let acks = scene.during(acks).await;
    assert_eq!(acks, ((told, true), (2 * told, true)));
    assert_eq!(since.elapsed(), Duration::ZERO, "nothing was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_few_answers_are_acknowledged_soon_and_by_one_frame() {
    let mut scene = scene(false).await;
    let acks = async |other: &mut Other<'_>| {
        for delivery_tag in 1..=3 {
            other.broker.deliver(delivery_tag).await;
        }
        let since = Instant::now();
        let first = ack(&other.broker.method().await);
        let took = since.elapsed();
        let next = timeout(Duration::from_secs(1), other.broker.method()).await;
        (first, took, next.is_err())
    };
    let (first, took, is_all) = scene.during(acks).await;
    assert_eq!((first, is_all), ((3, true), true));
    assert!(took <= TELL + Duration::from_millis(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_wait_and_none_is_lost() {
    let mut scene = scene(false).await;
    let count = u64::try_from(ANSWERS).unwrap() + 20;
    let taken = async |other: &mut Other<'_>| {
        for delivery_tag in 1..=count {
            other.broker.deliver(delivery_tag).await;
        }
        time::sleep(Duration::from_secs(1)).await;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(other.answers.recv().await.unwrap().correlation_id);
        }
        ids
    };
    let expected: Vec<_> = (1..=count).map(|id| id.to_string()).collect();
    assert_eq!(scene.during(taken).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_shared_answer_is_acknowledged_when_it_is_dealt_with() {
    let mut scene = scene(true).await;
    let acks = async |other: &mut Other<'_>| {
        for delivery_tag in 1..=3 {
            other.broker.deliver(delivery_tag).await;
        }
        let first = other.answers.recv().await.unwrap();
        let second = other.answers.recv().await.unwrap();
        let again = second.clone();
        drop(second);
        let early = timeout(Duration::from_secs(1), other.broker.method()).await;
        assert!(early.is_err(), "{early:?}");
        drop(again);
        let second = ack(&other.broker.method().await);
        drop(first);
        (second, ack(&other.broker.method().await))
    };
    assert_eq!(scene.during(acks).await, ((2, false), (1, false)));
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_more_stops_the_consumer_and_acknowledges_nothing() {
    let mut scene = scene(true).await;
    let is_closed = Arc::clone(&scene.is_closed);
    let said = async |other: &mut Other<'_>| {
        other.broker.deliver(1).await;
        let held = other.answers.recv().await.unwrap();
        is_closed.store(true, std::sync::atomic::Ordering::Release);
        other.answers.close();
        let cancel = other.broker.method().await;
        other.broker.deliver(2).await;
        drop(held);
        let more = timeout(Duration::from_secs(1), other.broker.method()).await;
        (cancel, more.is_err())
    };
    let (cancel, is_all) = scene.during(said).await;
    let is_cancel = matches!(cancel, AMQPClass::Basic(basic::AMQPMethod::Cancel(_)));
    assert!(is_cancel && is_all, "{cancel:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_dealt_with_is_acknowledged_before_the_end() {
    let mut scene = scene(true).await;
    let take = async |other: &mut Other<'_>| {
        other.broker.deliver(1).await;
        other.answers.recv().await.unwrap()
    };
    let answer = scene.during(take).await;
    drop(answer);
    scene.end.cancel();
    let served = scene.questioner.serve(&mut scene.open, &scene.end).await;
    served.unwrap();
    let (closed, first) = join!(scene.open.channel.close(), scene.broker.method());
    assert_eq!(((), ack(&first)), (closed, (1, false)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_connection_breaks_hears_of_it() {
    let mut scene = scene(false).await;
    let (done, told) = oneshot::channel();
    let word = Word {
        queue: "q".to_owned(),
        type_name: "a.B",
        correlation_id: String::new(),
        body: bytes::Bytes::new(),
    };
    let what = What::Word(word);
    scene.orders.send(Order { what, done }).await.unwrap();
    let sent = async |other: &mut Other<'_>| drop(other.broker.method().await);
    scene.during(sent).await;
    drop(scene.broker);
    let served = scene.questioner.serve(&mut scene.open, &scene.end).await;
    assert!(served.is_err());
    drop(scene.open);
    assert!(told.await.is_err(), "it was not taken");
}
