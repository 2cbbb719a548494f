//! The README lists exactly the metrics that there are.

use super::Metrics;
use broker::{Broker, Kind};

#[tokio::test]
async fn the_readme_lists_every_metric_and_no_other() {
    let context = boot::Context::new();
    let config = broker::Config {
        kind: Kind::Amqp,
        url: "amqp://127.0.0.1:1".to_owned().into(),
        tls: Default::default(),
        prefix: "test".to_owned(),
        window: 1 << 20,
        persistent: true,
        spool: None,
    };
    let broker = Broker::start(config, &context);
    Metrics::new(&context.metrics);
    interactions::Metrics::new(&context.metrics, "http");
    let documented = boot::metrics::documented(include_str!("../../README.md"));
    assert_eq!(documented, context.metrics.names());
    drop(broker);
    context.shutdown.cancel();
}
