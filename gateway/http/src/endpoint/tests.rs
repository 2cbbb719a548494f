//! Who hangs up while a reply is waited for.

use std::{
    collections::BTreeMap, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use boot::{Context, Reader};
use broker::Broker;
use interactions::{Kind, Ledger, Office, Unfit};
use listener::{Bodies, Refusals, Signed};
use tokio::time::Instant;
use transcode::Transcoder;

use super::{Asked, Endpoint};
use crate::{
    config::{Config, KEYS},
    event::Encoder,
    metrics::Metrics,
};

const TEXT: &str = r#"{"id":"1","application_id":"7","type":2,"token":"t","data":{"name":"play"}}"#;

/// An endpoint without a broker: nothing is ever published.
fn endpoint(context: &Context) -> Endpoint {
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let variables = [
        ("DISCORD_PUBLIC_KEY", key),
        ("DISCORD_APPLICATION_ID", "7"),
        ("AMQP_URL", "amqp://127.0.0.1:1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut reader = Reader::of("http", KEYS, variables, None);
    let config = Config::read(&mut reader);
    let config = Arc::new(reader.finish(config).unwrap());
    let broker = Broker::start(config.broker.clone(), context);
    let (questions, _answers) = broker.questions("http").unwrap();
    let counts = interactions::Metrics::new(&context.metrics, "http");
    let transcoder = Arc::new(Transcoder::new());
    Endpoint {
        signed: Signed::new(
            "/interactions",
            BTreeMap::new(),
            Bodies::new(1, 1),
            config.tolerance,
            Duration::from_secs(1),
        ),
        proxies: config.proxies.clone(),
        encoder: Encoder::new(transcoder, context.traces.clone(), &config.applications),
        office: Arc::new(Office {
            ledger: Arc::new(Ledger::new(10, counts.clone())),
            questions,
            client: broker.client("gateway-http"),
            settings: Arc::new(config.settings.clone()),
            metrics: counts,
        }),
        refusals: Refusals::default(),
        metrics: Metrics::new(&context.metrics),
        config,
    }
}

#[tokio::test]
async fn an_interaction_whose_caller_hangs_up_is_forgotten() {
    let context = Context::new();
    let endpoint = endpoint(&context);
    let open = || {
        let ledger = &endpoint.office.ledger;
        ledger.open(1, 7, "t", Kind::Command, false).map(drop)
    };
    let asked = Asked {
        application_id: 7,
        read: endpoint.encoder.read(TEXT).unwrap(),
        kind: Kind::Command,
        since: Instant::now(),
    };
    {
        let mut asking = pin!(endpoint.ask(&asked, TEXT));
        let once = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_ready()));
        assert!(!once.await, "nobody has replied");
        assert_eq!(open(), Err(Unfit::Known));
    }
    assert_eq!(open(), Ok(()), "it is as if it had never come");
}
