//! The README lists exactly the metrics that there are.

use super::Metrics;
use broker::{Broker, Kind};
use std::collections::BTreeSet;

/// The names in the first column of the README's table, without labels and suffixes.
fn documented() -> BTreeSet<String> {
    let readme = include_str!("../../README.md");
    let names = readme.lines().filter_map(|line| {
        let (names, _) = line.strip_prefix("| `gateway_")?.split_once(" | ")?;
        Some(format!("`gateway_{names}"))
    });
    let names: Vec<String> = names.collect();
    let names = names.iter().flat_map(|names| names.split(", "));
    let bare = |name: &str| {
        let name = name.trim_matches('`');
        let name = name.split_once('{').map_or(name, |(name, _)| name);
        name.strip_suffix("_total").unwrap_or(name).to_owned()
    };
    names.map(bare).collect()
}

#[tokio::test]
async fn the_readme_lists_every_metric_and_no_other() {
    let context = boot::Context::new();
    let config = broker::Config {
        kind: Kind::Amqp,
        url: "amqp://127.0.0.1:1".to_owned().into(),
        prefix: "test".to_owned(),
        window: 1 << 20,
        persistent: true,
        spool: None,
    };
    let broker = Broker::start(config, &context);
    Metrics::new(&context.metrics);
    let names: BTreeSet<String> = context.metrics.names().into_iter().collect();
    assert_eq!(documented(), names);
    drop(broker);
    context.shutdown.cancel();
}
