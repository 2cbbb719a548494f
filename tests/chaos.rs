//! The scenarios of `make chaos` in their short form: promises of the whole system, by name.

use anyhow::{Context as _, Result, ensure};
use tests::{
    chaos::{Length, SCENARIOS, Scenario},
    service::gateway_ws,
};

/// Plays a scenario and fails when it breaks a promise.
async fn play(name: &str) -> Result<()> {
    let scenario = Scenario::find(name).context("there is no such scenario")?;
    let program = gateway_ws()?.to_owned();
    let row = scenario.play(program, Length::short()).await?;
    ensure!(row.broken.is_empty(), "{row}");
    println!("{row}");
    Ok(())
}

/// A test for each scenario.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() -> Result<()> {
                play(stringify!($name)).await
            }
        )*

        #[test]
        fn every_scenario_is_a_test() {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scenarios! {
    sigkill_of_a_random_replica_every_5_s
    rolling_sigterm
    scale_1_5_2
    replica_paused_longer_than_its_lease
    rabbitmq_stopped_for_60_s
    rabbitmq_restarted
    cluster_node_killed
    redis_stopped_for_60_s
    redis_hangs_for_60_s
    redis_flushed
    discord_misbehaves
    batches_on
    saturated
    latency
    interactions_rabbitmq_restarted
    interactions_rolling_sigterm
}
