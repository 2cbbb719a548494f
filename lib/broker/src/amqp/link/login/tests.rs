//! The login against brokers that agree, refuse, keep silent, or are none.

use std::time::Duration;

use amq_protocol::{
    frame::{WriteContext, gen_frame},
    protocol::basic,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    time,
};

use super::*;
use crate::amqp::fake::Broker;

impl Broker {
    /// From the first byte to the answer with user and password.
    async fn begin(&mut self, mechanisms: &str) {
        let mut hello = [0; 8];
        self.0.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"AMQP\x00\x00\x09\x01");
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: FieldTable::default(),
            mechanisms: mechanisms.into(),
            locales: "en_US".into(),
        };
        self.connection(connection::AMQPMethod::Start(start)).await;
    }

    async fn connection(&mut self, method: connection::AMQPMethod) {
        self.say(0, AMQPClass::Connection(method)).await;
    }

    async fn tune(&mut self, frame_max: u32, heartbeat: u16) -> connection::TuneOk {
        self.begin("PLAIN").await;
        self.method().await;
        let tune = connection::Tune {
            channel_max: 2_047,
            frame_max,
            heartbeat,
        };
        self.connection(connection::AMQPMethod::Tune(tune)).await;
        match self.method().await {
            AMQPClass::Connection(connection::AMQPMethod::TuneOk(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn ends() -> (Link, Broker) {
    let (ours, theirs) = duplex(1 << 16);
    (Link::new(Box::new(ours)), Broker(theirs))
}

fn place(url: &str) -> Place {
    Place::parse(&url.to_owned().into()).unwrap()
}

fn close(code: u16, text: &str) -> connection::AMQPMethod {
    connection::AMQPMethod::Close(connection::Close {
        reply_code: code,
        reply_text: text.into(),
        class_id: 0,
        method_id: 0,
    })
}

#[tokio::test(start_paused = true)]
async fn a_login_says_who_we_are_and_switches_confirms_on() {
    let (mut link, mut broker) = ends();
    let place = place("amqp://bot:hunter2@rabbit/prod");
    let conversation = async {
        broker.begin("AMQPLAIN PLAIN").await;
        let AMQPClass::Connection(connection::AMQPMethod::StartOk(answer)) = broker.method().await
        else {
            panic!("no start-ok");
        };
        assert_eq!(answer.mechanism.as_str(), "PLAIN");
        assert_eq!(answer.response.as_bytes(), b"\0bot\0hunter2");
        let properties = answer.client_properties.inner();
        assert!(properties.contains_key("capabilities"));
        let tune = connection::Tune {
            channel_max: 2_047,
            frame_max: 131_072,
            heartbeat: 60,
        };
        broker.connection(connection::AMQPMethod::Tune(tune)).await;
        broker.method().await;
        let AMQPClass::Connection(connection::AMQPMethod::Open(open)) = broker.method().await
        else {
            panic!("no open");
        };
        assert_eq!(open.virtual_host.as_str(), "prod");
        let opened = connection::AMQPMethod::OpenOk(connection::OpenOk {});
        broker.connection(opened).await;
        broker.method().await;
        let opened = channel::AMQPMethod::OpenOk(channel::OpenOk {});
        broker.say(1, AMQPClass::Channel(opened)).await;
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        assert_eq!(broker.method().await, AMQPClass::Confirm(select));
        let selected = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
        broker.say(1, AMQPClass::Confirm(selected)).await;
    };
    let (result, ()) = tokio::join!(login(&mut link, &place, "test", 1), conversation);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_are_agreed_upon() {
    for (url, offered, frame_max, heartbeat) in [
        ("amqp://h", (131_072, 60), 32 * 1024, 10),
        ("amqp://h", (0, 0), 32 * 1024, 10),
        ("amqp://h", (8_192, 5), 8_192, 5),
        (
            "amqp://h/%2f?frame_max=0&heartbeat=0",
            (131_072, 0),
            32 * 1024,
            0,
        ),
        (
            "amqp://h/%2f?frame_max=4096&heartbeat=30",
            (0, 60),
            4_096,
            30,
        ),
        (
            "amqp://h/%2f?frame_max=999999",
            (999_999, 60),
            32 * 1024,
            10,
        ),
    ] {
        let (mut link, mut broker) = ends();
        let place = place(url);
        let answer = tokio::select! {
            result = login(&mut link, &place, "test", 1) => panic!("{result:?}"),
            answer = broker.tune(offered.0, offered.1) => answer,
        };
        assert_eq!(answer.channel_max, 1);
        assert_eq!(
            (answer.frame_max, answer.heartbeat),
            (frame_max, heartbeat),
            "{url}"
        );
        assert_eq!(link.frame_max, frame_max as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_is_wrong() {
    let (mut link, mut broker) = ends();
    let place = place("amqp://bot:hunter2@rabbit/prod");
    let refusal = async {
        broker.begin("PLAIN").await;
        broker.method().await;
        broker.connection(close(403, "ACCESS_REFUSED")).await;
    };
    let (result, ()) = tokio::join!(login(&mut link, &place, "test", 1), refusal);
    assert!(matches!(result, Err(Down::Login(text)) if text == "ACCESS_REFUSED"));

    let (mut link, mut broker) = ends();
    let refusal = async {
        broker.tune(131_072, 60).await;
        broker.method().await;
        broker.connection(close(530, "NOT_ALLOWED")).await;
    };
    let (result, ()) = tokio::join!(login(&mut link, &place, "test", 1), refusal);
    assert!(matches!(result, Err(Down::Vhost(_))), "{result:?}");

    let (mut link, mut broker) = ends();
    let (result, ()) = tokio::join!(
        login(&mut link, &place, "test", 1),
        broker.begin("EXTERNAL")
    );
    assert!(matches!(result, Err(Down::Login(text)) if text.contains("EXTERNAL")));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_no_broker_is_found_out() {
    let ack = basic::Ack {
        delivery_tag: 1,
        multiple: false,
    };
    let ack = AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Ack(ack)));
    let ack = gen_frame(&ack)(WriteContext::from(Vec::new())).unwrap();
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"AMQP\x00\x01\x00\x00".to_vec(),
        ack.into_inner().0,
        Vec::new(),
    ] {
        let (mut link, mut broker) = ends();
        broker.0.write_all(&answer).await.unwrap();
        drop(broker);
        let login = login(&mut link, &place("amqp://h"), "test", 1).await;
        assert!(matches!(login, Err(Down::Unreachable(_))), "{login:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_sign_of_life_is_given_up() {
    let (mut link, mut broker) = ends();
    let place = place("amqp://h");
    tokio::select! {
        result = login(&mut link, &place, "test", 1) => panic!("{result:?}"),
        _ = broker.tune(131_072, 10) => {}
    }
    let mut written = Vec::new();
    for seconds in 1..=25 {
        time::advance(Duration::from_secs(1)).await;
        if let Err(down) = link.look() {
            assert_eq!(seconds, 20);
            let Down::Lost(text) = down else {
                panic!("{down:?}");
            };
            assert!(text.contains("20 s"), "{text}");
            let ours = [8, 0, 0, 0, 0, 0, 0, 206];
            let heartbeats = written.windows(8).filter(|bytes| *bytes == ours);
            assert_eq!(heartbeats.count(), 3, "{written:?}");
            return;
        }
        let nothing = future::poll_fn(|context| link.poll(context).map(drop));
        let read = broker.0.read_buf(&mut written);
        tokio::select! {
            biased;
            () = nothing => panic!("nothing was said"),
            _ = read => {}
            () = time::sleep(Duration::ZERO) => {}
        }
    }
    panic!("it was not given up");
}
