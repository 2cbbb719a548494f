//! What all shards of the application share, and what they say of Discord alike.

use crate::{
    Error,
    advice::Adviser,
    board::Board,
    connection::Dialer,
    event::Replies,
    identify::Permits,
    intents,
    metrics::{Metrics, Step},
    once::Once,
    outage::Outage,
    pulse::Pulse,
};
use boot::Traces;
use broker::{Broker, Lane};
use discord::{Rest, close::Refusal};
use std::{sync::Arc, time::Duration};
use store::Shard;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// What all shards of the application share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The application's id.
    pub(crate) application_id: u64,
    /// Asks Discord how many shards there should be.
    pub(crate) adviser: Adviser,
    /// Where events go.
    pub(crate) broker: Broker,
    /// Which shards are connected.
    pub(crate) board: Board,
    /// How connections begin.
    pub(crate) dialer: Dialer,
    /// The intents that are asked for.
    pub(crate) intents: u64,
    /// Whether the number of shards is Discord's to say.
    pub(crate) is_auto: bool,
    /// Cancelled when Discord has refused the application for good: all its shards stop.
    pub(crate) halted: CancellationToken,
    /// What has been logged already.
    pub(crate) logged: Once,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// The intents that the application may not use, once Discord was asked for them.
    pub(crate) disallowed: OnceCell<String>,
    /// Whether Discord's HTTP API is away.
    pub(crate) rest_outage: Arc<Outage>,
    /// Whether Discord's gateway is away.
    pub(crate) gateway_outage: Outage,
    /// Where permits to identify come from.
    pub(crate) permits: Permits,
    /// When the store last said whose shards these are.
    pub(crate) pulse: Pulse,
    /// The REST client, to ask what the application may use when Discord refuses.
    pub(crate) rest: Rest,
    /// How replies to interactions are asked for, if they are.
    pub(crate) replies: Option<Replies>,
    /// How long the broker may take no event before the connection is given up for a while.
    pub(crate) stall_timeout: Duration,
    /// Records what happens to some of the events.
    pub(crate) traces: Traces,
}

impl Shared {
    /// A way to the broker for the events of this shard.
    pub(crate) fn lane(&self, shard: Shard) -> Lane {
        let of_shard = self.metrics.shard(shard);
        self.broker
            .lane_counting(of_shard.counter(Step::Confirmed).clone())
    }

    /// A payload that cannot be read was dropped.
    pub(crate) fn malformed(&self, what: &str, length: usize) {
        self.metrics.malformed();
        if self.logged.first("malformed") {
            tracing::warn!(
                length,
                what,
                "Discord sent a payload that cannot be read; it is skipped (logged once)"
            );
        }
    }

    /// A payload with an opcode that is not known was dropped.
    pub(crate) fn unknown_opcode(&self, op: u32) {
        self.metrics.unknown_opcode();
        if self.logged.first(format!("op {op}")) {
            tracing::warn!(
                op,
                "Discord sent a payload with an opcode that is not known; it is skipped"
            );
        }
    }

    /// What a person has to change after Discord refused a shard for good. No other shard of the
    /// application connects any more: Discord counts what it refuses.
    pub(crate) async fn refused(&self, refusal: Refusal, shard: Shard) -> Error {
        self.halted.cancel();
        self.metrics.refused(match refusal {
            Refusal::AuthenticationFailed => "token",
            Refusal::DisallowedIntents => "disallowed_intents",
            Refusal::InvalidApiVersion => "version",
            Refusal::InvalidIntents => "invalid_intents",
            Refusal::InvalidShard => "shard",
            Refusal::ShardingRequired => "sharding",
        });
        let Shard { count, id } = shard;
        match refusal {
            Refusal::AuthenticationFailed => Error::Token,
            Refusal::DisallowedIntents => {
                let names = || intents::disallowed(&self.rest, self.intents);
                Error::DisallowedIntents {
                    names: self.disallowed.get_or_init(names).await.clone(),
                    application_id: self.application_id,
                }
            }
            Refusal::InvalidApiVersion => Error::Version,
            Refusal::InvalidIntents => Error::InvalidIntents {
                intents: self.intents,
            },
            Refusal::InvalidShard => Error::InvalidShard { id, count },
            Refusal::ShardingRequired => Error::ShardingRequired { count },
        }
    }
}
