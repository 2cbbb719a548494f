//! The list, by what is taken away.

mod broker;
mod discord;
mod interactions;
mod load;
mod replicas;
mod store;

use super::Scenario;

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sigkill_of_a_random_replica_every_5_s",
        run: |stage| Box::pin(replicas::sigkill(stage)),
    },
    Scenario {
        name: "rolling_sigterm",
        run: |stage| Box::pin(replicas::rolling_sigterm(stage)),
    },
    Scenario {
        name: "scale_1_5_2",
        run: |stage| Box::pin(replicas::scale(stage)),
    },
    Scenario {
        name: "replica_paused_longer_than_its_lease",
        run: |stage| Box::pin(replicas::paused(stage)),
    },
    Scenario {
        name: "rabbitmq_stopped_for_60_s",
        run: |stage| Box::pin(broker::stopped(stage)),
    },
    Scenario {
        name: "rabbitmq_restarted",
        run: |stage| Box::pin(broker::restarted(stage)),
    },
    Scenario {
        name: "cluster_node_killed",
        run: |stage| Box::pin(broker::node_killed(stage)),
    },
    Scenario {
        name: "redis_stopped_for_60_s",
        run: |stage| Box::pin(store::stopped(stage)),
    },
    Scenario {
        name: "redis_hangs_for_60_s",
        run: |stage| Box::pin(store::hangs(stage)),
    },
    Scenario {
        name: "redis_flushed",
        run: |stage| Box::pin(store::flushed(stage)),
    },
    Scenario {
        name: "discord_misbehaves",
        run: |stage| Box::pin(discord::misbehaves(stage)),
    },
    Scenario {
        name: "batches_on",
        run: |stage| Box::pin(load::batches(stage)),
    },
    Scenario {
        name: "saturated",
        run: |stage| Box::pin(load::saturated(stage)),
    },
    Scenario {
        name: "latency",
        run: |stage| Box::pin(load::latency(stage)),
    },
    Scenario {
        name: "interactions_rabbitmq_restarted",
        run: |stage| Box::pin(interactions::rabbitmq_restarted(stage)),
    },
    Scenario {
        name: "interactions_rolling_sigterm",
        run: |stage| Box::pin(interactions::rolling_sigterm(stage)),
    },
];
