//! What waits while the broker takes nothing, and what the events are called.

use super::{List, News, RESHARD, SHARD_STATUS, WAITING, Waiting, status};
use crate::metrics::Metrics;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::UNIX_EPOCH,
};
use store::Shard;
use tokio::sync::Notify;
use wire::gateway::v1::{ShardReason, ShardState, event::Data};

fn list(metrics: &boot::Metrics) -> List {
    List {
        waiting: Mutex::new(Waiting::default()),
        changed: Notify::new(),
        metrics: Arc::new(Metrics::new(metrics)),
    }
}

fn news(id: u32, detail: &str) -> News {
    let status = status(ShardState::Away, ShardReason::Closed, detail);
    News {
        shard: Some(Shard { count: 2, id }),
        name: SHARD_STATUS,
        data: Data::GatewayShardStatus(Box::new(status)),
        at: UNIX_EPOCH,
    }
}

fn detail(news: &News) -> &str {
    match &news.data {
        Data::GatewayShardStatus(status) => &status.detail,
        _ => "",
    }
}

#[tokio::test]
async fn when_too_many_wait_the_oldest_about_the_same_shard_gives_way() {
    let metrics = boot::Metrics::new();
    let list = list(&metrics);
    list.add(news(1, "the only one about shard 1"));
    for number in 0..WAITING * 2 {
        list.add(news(0, &number.to_string()));
    }
    list.lock().is_closed = true;
    let first = list.next().await.unwrap();
    assert_eq!(detail(&first), "the only one about shard 1");
    let mut last = (WAITING + 1).to_string();
    let mut count = 0;
    while let Some(news) = list.next().await {
        if count == 0 {
            assert_eq!(detail(&news), last, "the oldest that is left");
        }
        last = detail(&news).to_owned();
        count += 1;
    }
    assert_eq!(count, WAITING - 1);
    assert_eq!(last, (WAITING * 2 - 1).to_string(), "the newest is told");
    let text = metrics.text().unwrap();
    let dropped = format!("}} {}\n", WAITING + 1);
    let counted = |line: &str| line.starts_with("gateway_ws_status_events_dropped_total{");
    let line = text.lines().find(|line| counted(line)).unwrap_or_default();
    assert!(format!("{line}\n").ends_with(&dropped), "{line}");
}

#[test]
fn the_names_are_those_of_the_contract() {
    let known: BTreeSet<String> = wire::event::own().into_iter().map(|it| it.name).collect();
    // The others are gateway-voice's.
    let ours = known
        .into_iter()
        .filter(|name| name.starts_with("GATEWAY_"));
    assert_eq!(
        ours.collect::<BTreeSet<_>>(),
        BTreeSet::from([SHARD_STATUS, RESHARD].map(str::to_owned))
    );
}
