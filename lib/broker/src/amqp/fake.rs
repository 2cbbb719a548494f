//! The broker's end of a connection, in tests that need no broker.

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::{AMQPClass, BasicProperties, basic, queue},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Says and takes what the test wants.
pub(super) struct Broker(pub(super) DuplexStream);

impl Broker {
    pub(super) async fn say(&mut self, channel: u16, method: AMQPClass) {
        self.frame(&AMQPFrame::Method(channel, method)).await;
    }

    pub(super) async fn frame(&mut self, frame: &AMQPFrame) {
        let written = gen_frame(frame)(WriteContext::from(Vec::new())).unwrap();
        self.0.write_all(&written.into_inner().0).await.unwrap();
    }

    /// Sends a message, in these pieces.
    pub(super) async fn content(
        &mut self,
        method: basic::AMQPMethod,
        properties: BasicProperties,
        pieces: &[&[u8]],
    ) {
        self.say(1, AMQPClass::Basic(method)).await;
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: pieces.iter().map(|piece| piece.len() as u64).sum(),
            properties,
        };
        self.frame(&AMQPFrame::Header(1, header)).await;
        for piece in pieces {
            self.frame(&AMQPFrame::Body(1, piece.to_vec())).await;
        }
    }

    /// Hands out an answer with this number to the question of the same number.
    pub(super) async fn deliver(&mut self, delivery_tag: u64) {
        let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag: "c".into(),
            delivery_tag,
            redelivered: false,
            exchange: "test.replies".into(),
            routing_key: "q".into(),
        });
        let properties = BasicProperties::default()
            .with_type("a.B".into())
            .with_correlation_id(delivery_tag.to_string().into());
        self.content(deliver, properties, &[b"body"]).await;
    }

    /// Agrees to everything until somebody takes from a queue; what was asked for.
    pub(super) async fn consumed(&mut self) -> Vec<AMQPClass> {
        let mut asked = Vec::new();
        loop {
            let method = self.method().await;
            asked.push(method.clone());
            let answer = match method {
                AMQPClass::Basic(basic::AMQPMethod::Qos(_)) => {
                    AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {}))
                }
                AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) => {
                    AMQPClass::Queue(queue::AMQPMethod::DeclareOk(queue::DeclareOk {
                        queue: declare.queue,
                        message_count: 0,
                        consumer_count: 0,
                    }))
                }
                AMQPClass::Queue(queue::AMQPMethod::Bind(_)) => {
                    AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {}))
                }
                AMQPClass::Basic(basic::AMQPMethod::Consume(_)) => {
                    let consumed = basic::ConsumeOk {
                        consumer_tag: "c".into(),
                    };
                    let answer = AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(consumed));
                    self.say(1, answer).await;
                    return asked;
                }
                other => panic!("{other:?}"),
            };
            self.say(1, answer).await;
        }
    }

    /// The next frame.
    pub(super) async fn take(&mut self) -> AMQPFrame {
        let mut bytes = vec![0; 7];
        self.0.read_exact(&mut bytes).await.unwrap();
        let size = u32::from_be_bytes(bytes[3..7].try_into().unwrap()) as usize;
        bytes.resize(size + 8, 0);
        self.0.read_exact(&mut bytes[7..]).await.unwrap();
        parse_frame(&*bytes).unwrap().1
    }

    /// The next frame, which has to be a method.
    pub(super) async fn method(&mut self) -> AMQPClass {
        match self.take().await {
            AMQPFrame::Method(_, method) => method,
            other => panic!("{other:?}"),
        }
    }
}
