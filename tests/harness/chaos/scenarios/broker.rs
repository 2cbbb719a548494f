//! A broker that is away for a while, as a whole or in part.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    chaos::{
        Row, Stage,
        row::{Order, Promise},
        trial::{Bus, Setup, Trial},
    },
    cluster::Cluster,
    rabbitmq::Rabbit,
};

/// How long all is well before and after.
const AROUND: Duration = Duration::from_secs(2);

/// Stopped for the whole time, with a spool on disk: no connection to Discord is given up.
pub(super) async fn stopped(stage: Stage) -> Result<Row> {
    let variables = vec![
        ("WS_SPOOL_DIR", "{folder}/spool"),
        ("WS_SPOOL_SIZE", "1GiB"),
        // Without the spool this is how soon a shard would disconnect.
        ("WS_STALL_TIMEOUT", "1s"),
        // Full at once, so that the spool has something to do in the short form too.
        ("AMQP_WINDOW", "1MiB"),
    ];
    let setup = Setup {
        bus: Bus::Own(Rabbit::start()?),
        variables,
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    trial.wait(AROUND).await?;
    rabbit(&mut trial)?.stop()?;
    trial.wait(trial.part(1.0)).await?;
    rabbit(&mut trial)?.restart()?;
    trial.wait(AROUND).await?;
    let resumes = trial.sim.state().resumes;
    let mut row = trial.finish(Promise::default()).await?;
    if resumes > 0 {
        row.broken.push(format!(
            "{resumes} connections given up in spite of the spool"
        ));
    }
    Ok(row)
}

/// Killed and stopped, and started again each time. A replica dies while the broker is away: what it has read, and the
/// broker has not, is replayed to the next owner of its shards.
pub(super) async fn restarted(stage: Stage) -> Result<Row> {
    let setup = Setup {
        bus: Bus::Own(Rabbit::start()?),
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    for gently in [false, true] {
        trial.wait(trial.part(0.3)).await?;
        match gently {
            true => rabbit(&mut trial)?.stop()?,
            false => rabbit(&mut trial)?.kill()?,
        }
        if !gently {
            trial.wait(AROUND).await?;
            trial.fleet.kill(0)?;
            trial.fleet.start(0)?;
        }
        rabbit(&mut trial)?.restart()?;
    }
    trial.wait_for_the_end().await?;
    trial.finish(Promise::default()).await
}

/// Each node of a cluster once. What a queue's node had not yet confirmed is refused as it dies.
pub(super) async fn node_killed(stage: Stage) -> Result<Row> {
    let setup = Setup {
        bus: Bus::Cluster(Cluster::start().await?),
        ..Setup::new(&stage)
    };
    let mut trial = Trial::begin(stage, setup).await?;
    let nodes = match trial.stage.length.strict {
        true => cluster(&mut trial)?.size(),
        // The others are the same again.
        false => 1,
    };
    for node in 0..nodes {
        trial.wait(trial.part(0.1)).await?;
        cluster(&mut trial)?.kill(node)?;
        trial.wait(trial.part(0.2)).await?;
        cluster(&mut trial)?.restart(node)?;
    }
    trial.wait_for_the_end().await?;
    let promise = Promise {
        order: Order::Refused,
        ..Promise::default()
    };
    trial.finish(promise).await
}

fn rabbit(trial: &mut Trial) -> Result<&mut Rabbit> {
    match &mut trial.bus {
        Bus::Own(rabbit) => Ok(rabbit),
        Bus::Cluster(_) | Bus::Shared => bail!("this scenario has a node of its own"),
    }
}

fn cluster(trial: &mut Trial) -> Result<&mut Cluster> {
    match &mut trial.bus {
        Bus::Cluster(cluster) => Ok(cluster),
        Bus::Own(_) | Bus::Shared => bail!("this scenario has a cluster"),
    }
}
