//! The writer over a pipe in memory.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{self, AsyncBufReadExt as _, BufReader, DuplexStream},
    sync::mpsc,
    time,
};

use super::{Answer, Line, Writer};
use crate::{
    Closed, Error, Exchange, Lane, Message, metrics::Metrics, queue::Queue, requests::Reply,
    stdio::json::Caller,
};

struct Setup {
    context: boot::Context,
    queue: Arc<Queue>,
    output: DuplexStream,
    replies: mpsc::Sender<Line>,
}

/// A writer whose pipe holds `pipe` bytes, with a window of `window`.
fn start(pipe: usize, window: usize) -> Setup {
    let context = boot::Context::new();
    let (output, input) = io::duplex(pipe);
    let metrics = Metrics::new(&context.metrics, window);
    let queue = Arc::new(Queue::new(window, false, metrics.counts.clone()));
    let (replies, receiver) = mpsc::channel(1);
    let check = context.health.check("broker");
    let writer = Writer::new(
        input,
        "discord".to_owned(),
        Arc::clone(&queue),
        metrics,
        check,
        receiver,
    );
    let (closing, shutdown) = (Arc::clone(&queue), context.shutdown.clone());
    context.tasks.spawn("broker", async move {
        let _closing = closing.closing();
        writer.run(&shutdown).await
    });
    Setup {
        context,
        queue,
        output,
        replies,
    }
}

fn message(number: u64) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: String::new(),
        message_id: number.to_string(),
        type_name: "unknown",
        app_id: "1".into(),
        timestamp: 0,
        headers: Vec::new(),
        body: Bytes::from_static(&[0; 300]),
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_up_the_publisher_and_misses_nothing() {
    let setup = start(100, 5_000);
    let mut lane = Lane::new(&setup.queue);
    let publishing = async move {
        for number in 1..=100 {
            lane.publish(number, message(number)).await.unwrap();
        }
        lane.confirmed_past(100).await;
        assert_eq!(lane.confirmed(), 100);
    };
    let mut publishing = std::pin::pin!(publishing);
    assert!(
        time::timeout(Duration::from_secs(60), &mut publishing)
            .await
            .is_err()
    );
    assert!(setup.queue.ring().used() < 7_000);

    let mut lines = BufReader::new(setup.output).lines();
    let reading = async {
        for number in 1..=100 {
            let line = lines.next_line().await.unwrap().unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["message_id"], number.to_string());
        }
    };
    tokio::join!(publishing, reading);
    setup.context.shutdown.cancel();
    setup
        .context
        .tasks
        .join(Duration::from_secs(1))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_pipe_ends_the_service() {
    let setup = start(100, 5_000);
    let mut lane = Lane::new(&setup.queue);
    drop(setup.output);
    lane.publish(1, message(1)).await.unwrap();
    setup.context.shutdown.cancelled().await;
    assert_eq!(lane.publish(2, message(2)).await, Err(Closed));
    let error = setup
        .context
        .tasks
        .join(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(
        boot::chain(&error).contains("cannot write to stdout"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_written_between_messages() {
    let setup = start(100_000, 5_000);
    let caller = Caller {
        reply_to: None,
        correlation_id: Some("7".to_owned()),
    };
    let mut answer = Answer::new(setup.replies, caller);
    let reply = Reply {
        type_name: "unknown".to_owned(),
        body: Bytes::from_static(b"foo"),
        end: false,
    };
    answer.send(&reply).await.unwrap();
    let mut lines = BufReader::new(setup.output).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(
        line.contains(r#""correlation_id":"7""#) && line.contains(r#""body":"Zm9v""#),
        "{line}"
    );

    setup.context.shutdown.cancel();
    setup
        .context
        .tasks
        .join(Duration::from_secs(1))
        .await
        .unwrap();
    assert!(matches!(
        answer.send(&reply).await,
        Err(Error::Disconnected)
    ));
}
